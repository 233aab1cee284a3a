#include "userspace/common/folder_names.h"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>

#include "raind/unique_fd.h"

namespace raind {

namespace {

struct DirCloser {
    void operator()(DIR* dir) const { closedir(dir); }
};

}  // namespace

Result<std::vector<std::string>> names_in(int folder) {
    UniqueFd fd(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd)
        return os_error("read folder");
    const std::unique_ptr<DIR, DirCloser> dir(fdopendir(fd.get()));
    if (!dir)
        return os_error("read folder");
    static_cast<void>(fd.release());
    std::vector<std::string> names;
    while (true) {
        errno = 0;
        const dirent* entry = readdir(dir.get());
        if (entry == nullptr)
            break;
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..")
            names.emplace_back(name);
    }
    if (errno != 0)
        return os_error("read folder");
    return names;
}

}  // namespace raind
