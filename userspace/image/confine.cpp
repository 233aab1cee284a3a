#include "userspace/image/confine.h"

#include <array>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace raind::image {

namespace {

// What the layout itself needs. SYS_ADMIN is there for one thing, the attribute
// trusted.overlay.opaque; the seccomp list has no other call that it would unlock. Whiteout devices
// (0:0) need no MKNOD, which is why real devices cannot be made.
constexpr std::array<cap_value_t, 6> kCapabilities = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,
                                                      CAP_FSETID, CAP_SETFCAP,      CAP_SYS_ADMIN};

constexpr std::array kSystemCalls = {
    "read",
    "write",
    "pread64",
    "pwrite64",
    "lseek",
    "close",
    "fstat",
    "newfstatat",
    "statx",
    "openat",
    "openat2",
    "readlinkat",
    "fgetxattr",
    "flistxattr",
    "mkdirat",
    "mknodat",
    "unlinkat",
    "linkat",
    "symlinkat",
    "fchownat",
    "fchown",
    "fchmod",
    "fchmodat",
    "utimensat",
    "fsetxattr",
    "ftruncate",
    "getdents64",
    "fcntl",
    "brk",
    "mmap",
    "munmap",
    "mremap",
    "madvise",
    "mprotect",
    "futex",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "exit",
    "exit_group",
    "getpid",
    "gettid",
    "tgkill",
    "clock_gettime",
    "gettimeofday",
    "getrandom",
    "sched_yield",
    "restart_syscall",
    "umask",
#ifdef __SANITIZE_ADDRESS__
    // The sanitizers find out through a pipe whether memory can be read.
    "pipe",
    "pipe2",
    "readlink",
#endif
};

Status limit(decltype(RLIMIT_CORE) which, rlim_t value) {
    const rlimit pair{.rlim_cur = value, .rlim_max = value};
    if (::setrlimit(which, &pair) != 0)
        return os_error("set resource limit");
    return {};
}

Status set_limits(const ExtractLimits& limits, std::size_t below) {
    RAIND_CHECK(limit(RLIMIT_CORE, 0));
    // One descriptor for each folder above a tree that is being replaced.
    RAIND_CHECK(limit(RLIMIT_NOFILE, limits.max_depth + below + 64));
    RAIND_CHECK(limit(RLIMIT_FSIZE, limits.max_bytes));
#ifndef __SANITIZE_ADDRESS__
    RAIND_CHECK(limit(RLIMIT_AS, 2UL << 30));
#endif
    return {};
}

Result<UniqueFd> clone_mount(int folder, std::uint64_t attributes) {
    UniqueFd tree(::open_tree(
        folder, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | static_cast<unsigned>(OPEN_TREE_CLOEXEC)));
    if (!tree)
        return os_error("clone the mount of the folder");
    mount_attr wanted{};
    wanted.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | attributes;
    if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &wanted, sizeof wanted) != 0)
        return os_error("set mount attributes");
    return tree;
}

// Before the mount namespace is left: a mount of another one cannot be cloned.
Status make_read_only(std::vector<UniqueFd>& folders) {
    for (UniqueFd& folder : folders) {
        RAIND_TRY(folder, clone_mount(folder.get(), MOUNT_ATTR_RDONLY));
    }
    return {};
}

Status enter_root(const UniqueFd& folder) {
    // The working directory moves into the new mount namespace, a descriptor would not.
    if (::fchdir(folder.get()) != 0)
        return os_error("enter the folder");
    if (::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) != 0)
        return os_error("make namespaces");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        return os_error("make mounts private");
    RAIND_TRY(const UniqueFd tree, clone_mount(AT_FDCWD, 0));
    if (::move_mount(tree.get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return os_error("attach the folder");
    if (::fchdir(tree.get()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0)
        return os_error("make the folder the root");
    if (::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0)
        return os_error("leave the old root");
    return {};
}

struct CapFree {
    void operator()(void* caps) const { ::cap_free(caps); }
};

Status drop_capabilities() {
    for (cap_value_t cap = 0; cap <= CAP_LAST_CAP; ++cap) {
        if (::cap_get_bound(cap) > 0 && ::cap_drop_bound(cap) != 0)
            return os_error("drop capability from the bounding set");
    }
    const std::unique_ptr<std::remove_pointer_t<cap_t>, CapFree> caps(::cap_init());
    for (const cap_flag_t set : {CAP_PERMITTED, CAP_EFFECTIVE}) {
        if (!caps || ::cap_set_flag(caps.get(), set, static_cast<int>(kCapabilities.size()),
                                    kCapabilities.data(), CAP_SET) != 0)
            return os_error("build capability set");
    }
    if (::cap_set_proc(caps.get()) != 0)
        return os_error("reduce capabilities");
    return {};
}

struct SeccompFree {
    void operator()(void* filter) const { ::seccomp_release(filter); }
};

Status load_filter() {
    const std::unique_ptr<void, SeccompFree> filter(::seccomp_init(SCMP_ACT_ERRNO(EPERM)));
    if (!filter)
        return Error(Errc::Internal, "cannot build a seccomp filter");
    for (const char* name : kSystemCalls) {
        const int number = ::seccomp_syscall_resolve_name(name);
        // Not every architecture has every call.
        if (number < 0)
            continue;
        if (::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, number, 0) != 0)
            return Error(Errc::Internal, fmt::format("cannot allow {} in a seccomp filter", name));
    }
    if (const int error = ::seccomp_load(filter.get()); error != 0)
        return os_error("load seccomp filter", -error);
    return {};
}

}  // namespace

Result<ExtractFolders> confine_to(ExtractFolders folders, int parent, const ExtractLimits& limits) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return os_error("tie to the parent");
    if (::getppid() != parent)
        return Error(Errc::Unavailable, "the parent is gone");
    RAIND_CHECK(make_read_only(folders.below));
    RAIND_CHECK(enter_root(folders.layer));
    folders.layer.reset(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folders.layer)
        return os_error("open the new root");
    ::umask(0);
    RAIND_CHECK(set_limits(limits, folders.below.size()));
    RAIND_CHECK(drop_capabilities());
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return os_error("set no_new_privs");
    RAIND_CHECK(load_filter());
    return folders;
}

}  // namespace raind::image
