#include "userspace/net/netlink_socket.h"

#include <array>
#include <fmt/format.h>
#include <linux/netlink.h>
#include <sys/socket.h>

namespace raind::net {
namespace {

constexpr std::size_t kReceiveSize = 64U << 10;
constexpr int kDumpTries = 20;
constexpr int kListenBuffer = 1 << 20;
constexpr int kAnswerSeconds = 10;

// The extended acknowledgement: a sentence of the kernel behind the echoed request.
std::string kernel_text(const nlmsghdr* message) {
    if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0)
        return {};
    std::size_t offset = sizeof(nlmsgerr);
    const auto* error = static_cast<const nlmsgerr*>(::mnl_nlmsg_get_payload(message));
    if ((message->nlmsg_flags & NLM_F_CAPPED) == 0)
        offset += error->msg.nlmsg_len - NLMSG_HDRLEN;
    return Attributes::of_message(message, offset).text(NLMSGERR_ATTR_MSG);
}

Status status_of(const nlmsghdr* message) {
    if (message->nlmsg_len < NLMSG_HDRLEN + sizeof(int))
        return Error(Errc::Internal, "netlink: short answer");
    const int code = *static_cast<const int*>(::mnl_nlmsg_get_payload(message));
    if (code == 0)
        return {};
    auto error = os_error("netlink", -code);
    const std::string said = message->nlmsg_type == NLMSG_ERROR ? kernel_text(message) : "";
    if (said.empty())
        return error;
    return Error(error.code(), fmt::format("{} ({})", error.message(), said), -code);
}

}  // namespace

void NetlinkSocket::Close::operator()(mnl_socket* socket) const {
    ::mnl_socket_close(socket);
}

int NetlinkSocket::fd() const {
    return ::mnl_socket_get_fd(socket_.get());
}

Result<NetlinkSocket::Handle> NetlinkSocket::open_here(const std::vector<int>& groups) {
    Handle socket(::mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    if (!socket)
        return os_error("netlink socket");
    int on = 1;
    for (const int option : {NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK})
        if (::mnl_socket_setsockopt(socket.get(), option, &on, sizeof(on)) != 0)
            return os_error("netlink option");
    const int fd = ::mnl_socket_get_fd(socket.get());
    const timeval limit{kAnswerSeconds, 0};
    if (::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0)
        return os_error("netlink time limit");
    if (!groups.empty())
        ::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kListenBuffer, sizeof(kListenBuffer));
    if (::mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0)
        return os_error("netlink bind");
    for (int group : groups)
        if (::mnl_socket_setsockopt(socket.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) !=
            0)
            return os_error("netlink group");
    return socket;
}

Result<NetlinkSocket> NetlinkSocket::open(const NetnsRef& netns, const std::vector<int>& groups) {
    RAIND_TRY(auto handle, run_in_netns(netns, [&] { return open_here(groups); }));
    return NetlinkSocket(std::move(handle));
}

Status NetlinkSocket::send(NetlinkMessage& message) {
    if (message.overflown())
        return Error(Errc::TooLarge, "netlink: the request does not fit");
    message.header()->nlmsg_seq = ++sequence_;
    if (::mnl_socket_sendto(socket_.get(), message.header(), message.header()->nlmsg_len) < 0)
        return os_error("netlink send");
    return {};
}

Result<bool> NetlinkSocket::receive(const std::function<void(const nlmsghdr*)>& take) {
    std::vector<char> buffer(kReceiveSize);
    bool interrupted = false;
    for (;;) {
        const ssize_t got = ::mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return os_error("netlink receive");
        int left = static_cast<int>(got);
        const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
        for (; ::mnl_nlmsg_ok(message, left); message = ::mnl_nlmsg_next(message, &left)) {
            if (message->nlmsg_seq != sequence_)
                continue;  // a late answer to a request that was given up
            interrupted = interrupted || (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
            if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
                RAIND_CHECK(status_of(message));
                return interrupted;
            }
            take(message);
        }
    }
}

Status NetlinkSocket::request(NetlinkMessage& message) {
    message.header()->nlmsg_flags |= NLM_F_ACK;
    RAIND_CHECK(send(message));
    RAIND_CHECK(receive([](const nlmsghdr*) {}));
    return {};
}

Status NetlinkSocket::dump(NetlinkMessage& message, const std::function<void()>& begin,
                           const std::function<void(const nlmsghdr*)>& take) {
    // Without NLM_F_DUMP one object is asked for: the acknowledgement ends the answer.
    if ((message.header()->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
        message.header()->nlmsg_flags |= NLM_F_ACK;
    for (int attempt = 0; attempt < kDumpTries; ++attempt) {
        begin();
        RAIND_CHECK(send(message));
        RAIND_TRY(const bool interrupted, receive(take));
        if (!interrupted)
            return {};
    }
    return Error(Errc::Unavailable, "netlink: the listing changed under every attempt to read it");
}

Status NetlinkSocket::drain(const std::function<void(const nlmsghdr*)>& take) {
    std::vector<char> buffer(kReceiveSize);
    for (int turn = 0; turn < 1000; ++turn) {
        const ssize_t got = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return {};
        if (got < 0)
            return os_error("netlink notifications");
        int left = static_cast<int>(got);
        const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
        for (; ::mnl_nlmsg_ok(message, left); message = ::mnl_nlmsg_next(message, &left))
            take(message);
    }
    return {};
}

}  // namespace raind::net
