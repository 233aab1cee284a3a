#include "userspace/runtime/bind_source.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <sys/stat.h>

#include "userspace/common/text.h"
#include "userspace/core/mounts.h"

namespace raind::runtime {
namespace {

// Kernel interfaces, sockets of services, keys, programs that the host's root runs.
constexpr auto kProtected =
    std::to_array<const char*>({"/proc", "/sys", "/dev", "/run", "/var/run", "/boot", "/root",
                                "/bin", "/usr/bin", "/usr/local/bin", "/etc/raind"});

Error invalid(const std::string& path, std::string_view why) {
    return Error(Errc::InvalidArgument,
                 fmt::format("invalid mount source: {}{}", printable(path), why));
}

// A folder above a protected one shows it too.
bool touches(const std::string& path, const std::string& folder) {
    return core::is_at_or_below(path, folder) || core::is_at_or_below(folder, path);
}

}  // namespace

Result<std::string> bind_source(const std::string& path, const std::vector<stdfs::path>& own) {
    struct stat info{};
    if (lstat(path.c_str(), &info) != 0)
        return invalid(path, fmt::format(": {}", std::strerror(errno)));
    if (S_ISLNK(info.st_mode))
        return invalid(path, ": a symbolic link");
    std::error_code error;
    const std::string resolved = stdfs::canonical(path, error).string();
    if (error)
        return invalid(path, fmt::format(": {}", error.message()));
    std::vector<stdfs::path> folders(own);
    folders.insert(folders.end(), kProtected.begin(), kProtected.end());
    for (const stdfs::path& folder : folders) {
        // Both as it is written and as it is: /bin may be a link to /usr/bin.
        const std::string actual = stdfs::weakly_canonical(folder, error).string();
        if (touches(resolved, folder.string()) || (!error && touches(resolved, actual)))
            return invalid(path, "");
    }
    return resolved;
}

}  // namespace raind::runtime
