#include "userspace/runtime/seccomp_profile.h"

#include <array>
#include <cstdint>
#include <sys/socket.h>

#include "userspace/common/json.h"

namespace raind::runtime {
namespace {

// Grouped by what they serve. Not here, and so denied: bpf, perf, kexec, file handles, ptrace and
// its kin, userfaultfd, modules, swap, reboot, mount and its new family, unshare, setns, keyrings,
// io_uring, pivot_root, acct, quota, syslog, clocks, ports, NUMA pages of others, vm86, AIO stays.
constexpr std::array kAllowed = {
    // files
    "access", "chdir", "chmod", "chown", "chroot", "close", "close_range", "copy_file_range",
    "creat", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fallocate",
    "fanotify_mark", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat", "fcntl",
    "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr", "fsetxattr", "fstat",
    "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd", "getdents", "getdents64", "getxattr",
    "getxattrat", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch",
    "lchown", "lgetxattr", "link", "linkat", "listxattr", "listxattrat", "llistxattr",
    "lremovexattr", "lseek", "lsetxattr", "lstat", "mkdir", "mkdirat", "mknod", "mknodat",
    "newfstatat", "open", "openat", "openat2", "pread64", "preadv", "preadv2", "pwrite64",
    "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "removexattr",
    "removexattrat", "rename", "renameat", "renameat2", "rmdir", "sendfile", "setxattr",
    "setxattrat", "splice", "stat", "statfs", "statx", "symlink", "symlinkat", "sync",
    "sync_file_range", "syncfs", "tee", "truncate", "umask", "unlink", "unlinkat", "ustat", "utime",
    "utimensat", "utimes", "vmsplice", "write", "writev", "memfd_create", "memfd_secret", "ioctl",
    "cachestat",
    // memory
    "brk", "madvise", "membarrier", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mprotect",
    "mremap", "mseal", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free",
    "pkey_mprotect", "process_madvise", "process_mrelease", "map_shadow_stack", "remap_file_pages",
    "get_mempolicy", "set_mempolicy", "set_mempolicy_home_node", "mbind",
    // processes and threads
    "arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork", "futex",
    "futex_requeue", "futex_wait", "futex_waitv", "futex_wake", "get_robust_list",
    "get_thread_area", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrlimit",
    "getrusage", "getsid", "gettid", "ioprio_get", "ioprio_set", "kill", "pidfd_open",
    "pidfd_send_signal", "prctl", "prlimit64", "restart_syscall", "rseq", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
    "sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity", "sched_setattr",
    "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp", "set_robust_list",
    "set_thread_area", "set_tid_address", "setpgid", "setpriority", "setrlimit", "setsid", "tgkill",
    "times", "tkill", "vfork", "wait4", "waitid", "getcpu", "lsm_get_self_attr", "lsm_list_modules",
    "lsm_set_self_attr",
    // identity
    "getegid", "geteuid", "getgid", "getgroups", "getresgid", "getresuid", "getuid", "setfsgid",
    "setfsuid", "setgid", "setgroups", "setregid", "setresgid", "setresuid", "setreuid", "setuid",
    "uname",
    // signals, time, timers, waiting
    "alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "epoll_create", "epoll_create1",
    "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old",
    "eventfd", "eventfd2", "getitimer", "gettimeofday", "nanosleep", "pause", "poll", "ppoll",
    "pselect6", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo",
    "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "select", "setitimer",
    "sigaltstack", "signalfd", "signalfd4", "sysinfo", "time", "timer_create", "timer_delete",
    "timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create", "timerfd_gettime",
    "timerfd_settime", "getrandom",
    // asynchronous input and output of the old kind
    "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup", "io_submit",
    // inter-process communication
    "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink",
    "msgctl", "msgget", "msgrcv", "msgsnd", "pipe", "pipe2", "semctl", "semget", "semop",
    "semtimedop", "shmat", "shmctl", "shmdt", "shmget", "socketpair",
    // sockets, once made (socket and setsockopt have rules of their own)
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "shutdown",
    // Landlock only ever takes rights away
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self"};

constexpr std::uint64_t kNamespaceFlags = 0x7e020000;  // CLONE_NEW* of clone(2)
constexpr int kErrnoNoSys = 38;
constexpr int kSolPacket = 263;
constexpr int kPacketVnetHdr = 15;

Json condition(unsigned index, std::uint64_t value, const char* op = "SCMP_CMP_EQ",
               std::uint64_t value_two = 0) {
    return Json{{"index", index}, {"value", value}, {"valueTwo", value_two}, {"op", op}};
}

Json allow(const char* name, Json conditions) {
    return Json{{"names", Json::array({name})},
                {"action", "SCMP_ACT_ALLOW"},
                {"args", std::move(conditions)}};
}

// Comparisons see 64 bits, the kernel 32 of an int: only exact matches are safe, because a "not
// equal" would let a value with rubbish in its upper half pass.
void add_socket_rules(Json& calls, const SeccompOptions& options) {
    for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK})
        calls.push_back(
            allow("socket", Json::array({condition(0, static_cast<std::uint64_t>(family))})));
    // IP, SOCKET/ICMP, TCP, UDP, IPv6, ICMPv6, SCTP, UDPLITE, RAW, NETLINK, TLS, MPTCP
    for (const std::uint64_t level : {0, 1, 6, 17, 41, 58, 132, 136, 255, 270, 282, 284})
        calls.push_back(allow("setsockopt", Json::array({condition(1, level)})));
    if (!options.packet_sockets)
        return;
    calls.push_back(allow("socket", Json::array({condition(0, AF_PACKET)})));
    // Every packet option below PACKET_VNET_HDR and the eight from 16 on: not VNET_HDR, not
    // VNET_HDR_SZ.
    calls.push_back(allow(
        "setsockopt",
        Json::array({condition(1, kSolPacket), condition(2, kPacketVnetHdr, "SCMP_CMP_LT")})));
    calls.push_back(allow(
        "setsockopt", Json::array({condition(1, kSolPacket),
                                   condition(2, ~std::uint64_t{7}, "SCMP_CMP_MASKED_EQ", 16)})));
}

}  // namespace

Json default_seccomp_profile(const SeccompOptions& options) {
    Json names = Json::array();
    for (const char* name : kAllowed)
        names.push_back(name);
    Json calls = Json::array();
    calls.push_back(Json{{"names", std::move(names)}, {"action", "SCMP_ACT_ALLOW"}});
    calls.push_back(
        allow("clone", Json::array({condition(0, kNamespaceFlags, "SCMP_CMP_MASKED_EQ", 0)})));
    // Its flags are behind a pointer: libc falls back to clone.
    calls.push_back(Json{{"names", Json::array({"clone3"})},
                         {"action", "SCMP_ACT_ERRNO"},
                         {"errnoRet", kErrnoNoSys}});
    for (const std::uint64_t persona : {0x0UL, 0x8UL, 0x20000UL, 0x20008UL, 0xffffffffUL})
        calls.push_back(allow("personality", Json::array({condition(0, persona)})));
    add_socket_rules(calls, options);
    return Json{{"defaultAction", "SCMP_ACT_ERRNO"},
                {"defaultErrnoRet", 1},
                {"architectures", Json::array({"SCMP_ARCH_X86_64"})},
                {"syscalls", std::move(calls)}};
}

}  // namespace raind::runtime
