#include "userspace/common/netns.h"

#include <exception>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace raind {
namespace {

constexpr const char* kFolder = "/run/netns";
constexpr const char* kOwnPath = "/proc/thread-self/ns/net";

std::string path_of(std::string_view name) {
    return fmt::format("{}/{}", kFolder, name);
}

// Runs body on a thread of its own; exceptions of libraries become errors.
template <typename F>
Status on_thread(F&& body) {
    Status result;
    std::thread worker([&] {
        try {
            result = body();
        } catch (const std::exception& failure) {
            result = Error(Errc::Internal, failure.what());
        }
    });
    worker.join();
    return result;
}

// The folder is a shared mount of its own, as iproute2 makes it, so that names made here show in
// other mount namespaces.
Status prepare_folder() {
    if (::mkdir(kFolder, 0755) != 0 && errno != EEXIST)
        return os_error(kFolder);
    if (::mount("", kFolder, "none", MS_SHARED | MS_REC, nullptr) == 0)
        return {};
    if (errno != EINVAL)
        return os_error(fmt::format("share {}", kFolder));
    if (::mount(kFolder, kFolder, "none", MS_BIND | MS_REC, nullptr) != 0)
        return os_error(fmt::format("bind {}", kFolder));
    if (::mount("", kFolder, "none", MS_SHARED | MS_REC, nullptr) != 0)
        return os_error(fmt::format("share {}", kFolder));
    return {};
}

}  // namespace

Status check_netns_name(std::string_view name) {
    if (name.empty() || name.size() > 200 || name == "." || name == ".." ||
        name.find('/') != std::string_view::npos || name.find('\0') != std::string_view::npos)
        return Error(Errc::InvalidArgument, "not a name for a network namespace");
    return {};
}

namespace detail {

Status in_netns_thread(int fd, const std::function<void()>& body) {
    return on_thread([&]() -> Status {
        if (::setns(fd, CLONE_NEWNET) != 0)
            return os_error("enter the network namespace");
        body();
        return {};
    });
}

}  // namespace detail

Result<NetnsRef> NetnsRef::adopt(UniqueFd fd, std::string_view what) {
    if (!fd)
        return os_error(what);
    if (::ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET)
        return Error(Errc::InvalidArgument, fmt::format("{}: not a network namespace", what));
    return NetnsRef(std::move(fd));
}

Result<NetnsRef> NetnsRef::open_path(const std::string& path) {
    return adopt(UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path);
}

Result<NetnsRef> NetnsRef::current() {
    return open_path(kOwnPath);
}

Result<NetnsRef> NetnsRef::open_named(std::string_view name) {
    RAIND_CHECK(check_netns_name(name));
    return open_path(path_of(name));
}

Result<NetnsRef> NetnsRef::of_pid(int pid) {
    return open_path(fmt::format("/proc/{}/ns/net", pid));
}

Result<NetnsRef> NetnsRef::of_pidfd(int pidfd) {
    Result<NetnsRef> found = Error(Errc::Internal, "no namespace");
    RAIND_CHECK(on_thread([&]() -> Status {
        if (::setns(pidfd, CLONE_NEWNET) != 0)
            return os_error("enter the network namespace of the process");
        found = current();
        return {};
    }));
    return found;
}

Result<NetnsRef> NetnsRef::make() {
    Result<NetnsRef> made = Error(Errc::Internal, "no namespace");
    RAIND_CHECK(on_thread([&]() -> Status {
        if (::unshare(CLONE_NEWNET) != 0)
            return os_error("make a network namespace");
        made = current();
        return {};
    }));
    return made;
}

Result<NetnsRef> NetnsRef::duplicate() const {
    return adopt(UniqueFd(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0)), "duplicate a namespace");
}

Result<std::uint64_t> NetnsRef::inode() const {
    struct stat info{};
    if (::fstat(fd_.get(), &info) != 0)
        return os_error("network namespace");
    return static_cast<std::uint64_t>(info.st_ino);
}

Result<NetnsRef> ensure_named_netns(std::string_view name) {
    RAIND_CHECK(check_netns_name(name));
    const std::string path = path_of(name);
    if (auto existing = NetnsRef::open_path(path); existing)
        return existing;
    RAIND_CHECK(prepare_folder());
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0444));
    if (!file)
        return os_error(path);
    RAIND_CHECK(on_thread([&]() -> Status {
        if (::unshare(CLONE_NEWNET) != 0)
            return os_error("make a network namespace");
        if (::mount(kOwnPath, path.c_str(), "none", MS_BIND, nullptr) != 0)
            return os_error(fmt::format("mount {}", path));
        return {};
    }));
    return NetnsRef::open_path(path);
}

Status remove_named_netns(std::string_view name) {
    RAIND_CHECK(check_netns_name(name));
    const std::string path = path_of(name);
    if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL &&
        errno != ENOENT)
        return os_error(fmt::format("unmount {}", path));
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return os_error(path);
    return {};
}

bool named_netns_exists(std::string_view name) {
    return NetnsRef::open_named(name).has_value();
}

}  // namespace raind
