#include "droplet/syscalls.h"

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace raind::droplet {

namespace {

constexpr std::size_t kPacketMax = 256 * 1024;

// The kernel's own words about a failed step of fsopen, fsconfig or fsmount.
std::string context_log(int context) {
    std::string out;
    char buffer[512];
    for (int i = 0; i < 8; ++i) {
        const ssize_t n = ::read(context, buffer, sizeof buffer);
        if (n <= 2)
            break;
        std::string_view line(buffer, static_cast<std::size_t>(n));
        line.remove_prefix(2);
        while (!line.empty() && line.back() == '\n')
            line.remove_suffix(1);
        out.append(" (").append(line).append(")");
    }
    return out;
}

Error fs_error(std::string_view what, int context, int err) {
    return Error(Errc::Internal, std::string(what) + ": " + errno_text(err) + context_log(context),
                 err);
}

}  // namespace

std::string errno_text(int err) {
    std::string text = std::strerror(err);
    if (!text.empty())
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return text;
}

Result<UniqueFd> pidfd_open(int pid) {
    const long fd = ::syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return Error(errno == ESRCH ? Errc::NotFound : Errc::Internal,
                     "process " + std::to_string(pid) + ": " + errno_text(errno), errno);
    return UniqueFd(static_cast<int>(fd));
}

Status pidfd_signal(int pidfd, int signal) {
    if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) != 0)
        return Error(errno == ESRCH ? Errc::NotFound : Errc::Internal,
                     "signal " + std::to_string(signal) + ": " + errno_text(errno), errno);
    return {};
}

bool pidfd_wait(int pidfd, int milliseconds) {
    pollfd entry{pidfd, POLLIN, 0};
    while (true) {
        const int n = ::poll(&entry, 1, milliseconds);
        if (n < 0 && errno == EINTR)
            continue;
        return n > 0;
    }
}

Status setns_all(int fd, int mask) {
    if (::setns(fd, mask) != 0)
        return os_error("setns");
    return {};
}

Result<UniqueFd> open_in_root(int root, const std::string& path, int flags, Links links,
                              mode_t mode) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
    how.mode = mode;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    if (links == Links::Refuse)
        how.resolve |= RESOLVE_NO_SYMLINKS;
    // EAGAIN: a rename elsewhere disturbed the walk.
    for (int attempt = 0; attempt < 64; ++attempt) {
        const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
        if (fd >= 0)
            return UniqueFd(static_cast<int>(fd));
        if (errno != EAGAIN && errno != EINTR)
            break;
    }
    return os_error(path);
}

Result<UniqueFd> open_tree(int dir, const char* path, unsigned flags) {
    const long fd = ::syscall(SYS_open_tree, dir, path, flags | OPEN_TREE_CLOEXEC);
    if (fd < 0)
        return os_error(std::string("open_tree ") + path);
    return UniqueFd(static_cast<int>(fd));
}

Status move_mount(int mount, int target) {
    if (::syscall(SYS_move_mount, mount, "", target, "",
                  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
        return os_error("move_mount");
    return {};
}

Status mount_setattr(int mount, const MountChange& change) {
    mount_attr attr{};
    attr.attr_set = change.set;
    attr.attr_clr = change.clear;
    attr.propagation = change.propagation;
    if (change.userns >= 0)
        attr.userns_fd = static_cast<std::uint64_t>(change.userns);
    // An access time mode is a field of several bits: the old value goes first.
    if ((change.set & MOUNT_ATTR__ATIME) != 0 || (change.clear & MOUNT_ATTR__ATIME) != 0)
        attr.attr_clr |= MOUNT_ATTR__ATIME;
    const unsigned flags = AT_EMPTY_PATH | (change.recursive ? AT_RECURSIVE : 0U);
    if (::syscall(SYS_mount_setattr, mount, "", flags, &attr, sizeof attr) != 0)
        return os_error("mount_setattr");
    return {};
}

Result<UniqueFd> fs_open(const std::string& type) {
    const long fd = ::syscall(SYS_fsopen, type.c_str(), FSOPEN_CLOEXEC);
    if (fd < 0)
        return os_error("fsopen " + type);
    return UniqueFd(static_cast<int>(fd));
}

Status fs_set(int context, const std::string& key, const std::string& value) {
    if (::syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0) != 0)
        return fs_error("option " + key, context, errno);
    return {};
}

Status fs_set_flag(int context, const std::string& key) {
    if (::syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0) != 0)
        return fs_error("option " + key, context, errno);
    return {};
}

Result<UniqueFd> fs_finish(int context, std::uint64_t attributes) {
    if (::syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return fs_error("new filesystem", context, errno);
    const long fd = ::syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
    if (fd < 0)
        return fs_error("fsmount", context, errno);
    return UniqueFd(static_cast<int>(fd));
}

Result<UniqueFd> new_filesystem(const FilesystemRequest& request) {
    RAIND_TRY(UniqueFd context, fs_open(request.type));
    if (!request.source.empty())
        RAIND_CHECK(fs_set(context.get(), "source", request.source));
    for (const std::string& datum : request.data) {
        const auto equals = datum.find('=');
        if (equals == std::string::npos)
            RAIND_CHECK(fs_set_flag(context.get(), datum));
        else
            RAIND_CHECK(fs_set(context.get(), datum.substr(0, equals), datum.substr(equals + 1)));
    }
    return fs_finish(context.get(), request.attributes);
}

Result<CloneResult> clone_process(const CloneRequest& request) {
    int pidfd = -1;
    clone_args args{};
    args.flags = request.flags | CLONE_PIDFD;
    args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
    args.exit_signal = SIGCHLD;
    if (request.cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = static_cast<std::uint64_t>(request.cgroup);
    }
    // With CLONE_PARENT the exit signal is the caller's own.
    if ((request.flags & CLONE_PARENT) != 0)
        args.exit_signal = 0;
    const long pid = ::syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0)
        return os_error("clone3");
    CloneResult result;
    result.pid = static_cast<int>(pid);
    if (pid > 0)
        result.pidfd.reset(pidfd);
    return result;
}

void close_all_but(int first, std::vector<int> keep) {
    std::sort(keep.begin(), keep.end());
    unsigned from = static_cast<unsigned>(first);
    for (const int fd : keep) {
        if (fd < 0 || static_cast<unsigned>(fd) < from)
            continue;
        if (static_cast<unsigned>(fd) > from)
            ::syscall(SYS_close_range, from, static_cast<unsigned>(fd) - 1, 0);
        from = static_cast<unsigned>(fd) + 1;
    }
    ::syscall(SYS_close_range, from, ~0U, 0);
}

Status send_packet(int socket, std::string_view text, int fd) {
    iovec part{const_cast<char*>(text.data()), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR)
            return os_error("send");
    }
    return {};
}

Result<std::optional<Packet>> receive_packet(int socket) {
    std::string buffer(kPacketMax, '\0');
    iovec part{buffer.data(), buffer.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = 0;
    while ((n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0) {
        if (errno != EINTR)
            return os_error("receive");
    }
    Packet packet;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
            packet.fd.reset(fd);
        }
    }
    if (n == 0 && !packet.fd.valid())
        return std::optional<Packet>();
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
        return Error(Errc::Internal, "receive: record too long");
    buffer.resize(static_cast<std::size_t>(n));
    packet.text = std::move(buffer);
    return std::optional<Packet>(std::move(packet));
}

Result<std::pair<UniqueFd, UniqueFd>> packet_pair() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return os_error("socketpair");
    return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

Result<ProcessStat> process_stat(int pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/stat";
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return os_error(path);
    char buffer[1024];
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer - 1);
    if (n <= 0)
        return Error(Errc::NotFound, path + ": no such process", ESRCH);
    buffer[n] = '\0';
    // The command name may hold blanks and brackets: fields count from the last ')'.
    const char* at = std::strrchr(buffer, ')');
    if (at == nullptr || at[1] == '\0')
        return Error(Errc::Internal, path + ": not understood");
    ProcessStat stat;
    stat.state = at[2];
    int field = 2;
    for (++at; *at != '\0'; ++at) {
        if (*at == ' ' && ++field == 22) {
            stat.start_time = std::strtoull(at + 1, nullptr, 10);
            return stat;
        }
    }
    return Error(Errc::Internal, path + ": not understood");
}

std::string boot_id() {
    char buffer[64] = {};
    const UniqueFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    const ssize_t n = fd ? ::read(fd.get(), buffer, sizeof buffer) : -1;
    std::string id(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
    while (!id.empty() && id.back() == '\n')
        id.pop_back();
    return id;
}

}  // namespace raind::droplet
