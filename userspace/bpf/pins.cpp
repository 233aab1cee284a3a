#include "userspace/bpf/pins.h"

#include <bpf/bpf.h>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "raind/abi/base.h"
#include "raind/unique_fd.h"

namespace raind::bpf {

namespace {

// Everybody may make folders on a BPF file system: one that is there already becomes root's. A link
// could lead anywhere and is refused.
Status make_private(const std::filesystem::path& path) {
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        return os_error("make " + path.string());
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd)
        return os_error("open " + path.string());
    if (::fchown(fd.get(), 0, 0) != 0 || ::fchmod(fd.get(), 0700) != 0)
        return os_error("protect " + path.string());
    return {};
}

Status remove_folder(const std::filesystem::path& path) {
    if (::rmdir(path.c_str()) != 0 && errno != ENOENT)
        return os_error("remove " + path.string());
    return {};
}

Result<std::vector<std::string>> names_in(const std::filesystem::path& folder) {
    std::vector<std::string> names;
    std::error_code code;
    std::filesystem::directory_iterator at(folder, code);
    if (code == std::errc::no_such_file_or_directory)
        return names;
    while (!code && at != std::filesystem::directory_iterator()) {
        names.push_back(at->path().filename().string());
        at.increment(code);
    }
    if (code)
        return Error(Errc::Internal, "list " + folder.string() + ": " + code.message());
    return names;
}

}  // namespace

Result<Pins> Pins::open(const std::filesystem::path& bpffs) {
    struct statfs info{};
    if (::statfs(bpffs.c_str(), &info) != 0)
        return os_error("open BPF file system " + bpffs.string());
    if (static_cast<unsigned long>(info.f_type) != BPF_FS_MAGIC)
        return Error(Errc::Unavailable, bpffs.string() + " is not a BPF file system");
    const std::filesystem::path product = bpffs / "raind";
    Pins pins(bpffs, product / ("v" + std::to_string(RAIND_LAYOUT)));
    RAIND_CHECK(pins.make_folders());
    return pins;
}

Status Pins::make_folders() const {
    RAIND_CHECK(make_private(bpffs_ / "raind"));
    RAIND_CHECK(make_private(root_));
    for (const char* part : {"maps", "progs", "links"})
        RAIND_CHECK(make_private(root_ / part));
    return {};
}

Result<std::vector<std::string>> Pins::links() const {
    return names_in(root_ / "links");
}

Status Pins::remove_all() const {
    // links first: from then on nothing runs, then programs, then what they used
    for (const char* part : {"links", "progs", "maps"}) {
        RAIND_TRY(const std::vector<std::string> names, names_in(root_ / part));
        for (const std::string& name : names)
            RAIND_CHECK(unpin(root_ / part / name));
        RAIND_CHECK(remove_folder(root_ / part));
    }
    RAIND_CHECK(remove_folder(root_));
    return remove_folder(bpffs_ / "raind");
}

Status unpin(const std::filesystem::path& pin) {
    if (::unlink(pin.c_str()) != 0 && errno != ENOENT)
        return os_error("unpin " + pin.string());
    return {};
}

Status repin(int fd, const std::filesystem::path& pin) {
    const std::filesystem::path fresh = pin.string() + "_new";
    RAIND_CHECK(unpin(fresh));
    if (::bpf_obj_pin(fd, fresh.c_str()) != 0)
        return os_error("pin " + pin.string());
    if (::rename(fresh.c_str(), pin.c_str()) != 0)
        return os_error("pin " + pin.string());
    return {};
}

}  // namespace raind::bpf
