#include "userspace/bpf/tc_filters.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <memory>
#include <sys/socket.h>
#include <sys/time.h>

namespace raind::bpf {

namespace {

constexpr std::size_t kReceiveSize = 64U << 10;
constexpr int kAnswerSeconds = 10;

struct CloseSocket {
    void operator()(mnl_socket* socket) const { ::mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

Result<Socket> open_socket() {
    Socket socket(::mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    if (!socket)
        return os_error("netlink socket");
    const timeval limit{kAnswerSeconds, 0};
    if (::setsockopt(::mnl_socket_get_fd(socket.get()), SOL_SOCKET, SO_RCVTIMEO, &limit,
                     sizeof limit) != 0)
        return os_error("netlink time limit");
    if (::mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0)
        return os_error("netlink bind");
    return socket;
}

std::uint32_t value(const nlattr* attribute) {
    return ::mnl_attr_get_payload_len(attribute) < sizeof(std::uint32_t)
               ? 0
               : ::mnl_attr_get_u32(attribute);
}

int read_option(const nlattr* attribute, void* into) {
    auto& filter = *static_cast<TcFilter*>(into);
    if (::mnl_attr_get_type(attribute) == TCA_BPF_ID)
        filter.program = value(attribute);
    else if (::mnl_attr_get_type(attribute) == TCA_BPF_FLAGS)
        filter.direct_action = (value(attribute) & TCA_BPF_FLAG_ACT_DIRECT) != 0;
    return MNL_CB_OK;
}

struct Entry {
    TcFilter filter;
    const nlattr* options = nullptr;
    std::uint32_t chain = 0;
};

int read_attribute(const nlattr* attribute, void* into) {
    auto& entry = *static_cast<Entry*>(into);
    if (::mnl_attr_get_type(attribute) == TCA_KIND)
        entry.filter.kind = ::mnl_attr_get_str(attribute);
    else if (::mnl_attr_get_type(attribute) == TCA_CHAIN)
        entry.chain = value(attribute);
    else if (::mnl_attr_get_type(attribute) == TCA_OPTIONS)
        entry.options = attribute;
    return MNL_CB_OK;
}

void take(const nlmsghdr* message, std::vector<TcFilter>& out) {
    const auto* head = static_cast<const tcmsg*>(::mnl_nlmsg_get_payload(message));
    Entry entry;
    ::mnl_attr_parse(message, sizeof(tcmsg), read_attribute, &entry);
    // Other chains are reached only from a filter of this one. A handle of 0 is the classifier
    // itself, which the kernel lists ahead of its filters.
    if (entry.chain != 0 || head->tcm_handle == 0)
        return;
    TcFilter& filter = entry.filter;
    filter.handle = head->tcm_handle;
    filter.priority = static_cast<std::uint16_t>(TC_H_MAJ(head->tcm_info) >> 16);
    filter.protocol = ntohs(static_cast<std::uint16_t>(TC_H_MIN(head->tcm_info)));
    if (entry.options != nullptr && filter.kind == "bpf")
        ::mnl_attr_parse_nested(entry.options, read_option, &filter);
    out.push_back(std::move(filter));
}

int take_one(const nlmsghdr* message, void* out) {
    if (message->nlmsg_type == RTM_NEWTFILTER)
        take(message, *static_cast<std::vector<TcFilter>*>(out));
    return MNL_CB_OK;
}

Status receive(mnl_socket* socket, std::uint32_t sequence, std::vector<TcFilter>& out) {
    std::vector<char> buffer(kReceiveSize);
    const unsigned port = ::mnl_socket_get_portid(socket);
    int more = MNL_CB_OK;
    while (more > MNL_CB_STOP) {
        const ssize_t got = ::mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return os_error("netlink receive");
        more = ::mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), sequence, port, take_one,
                            &out);
    }
    return more < 0 ? Status(os_error("netlink")) : Status();
}

Result<std::vector<TcFilter>> dump(std::uint32_t ifindex, TcHook hook) {
    constexpr std::uint32_t kSequence = 1;
    RAIND_TRY(const Socket socket, open_socket());
    alignas(NLMSG_ALIGNTO) std::array<char, 256> request{};
    nlmsghdr* message = ::mnl_nlmsg_put_header(request.data());
    message->nlmsg_type = RTM_GETTFILTER;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message->nlmsg_seq = kSequence;
    auto* head = static_cast<tcmsg*>(::mnl_nlmsg_put_extra_header(message, sizeof(tcmsg)));
    head->tcm_family = AF_UNSPEC;
    head->tcm_ifindex = static_cast<int>(ifindex);
    head->tcm_parent = TC_H_MAKE(TC_H_CLSACT, hook == TcHook::Ingress
                                                  ? static_cast<std::uint32_t>(TC_H_MIN_INGRESS)
                                                  : static_cast<std::uint32_t>(TC_H_MIN_EGRESS));
    std::vector<TcFilter> out;
    if (::mnl_socket_sendto(socket.get(), message, message->nlmsg_len) < 0)
        return os_error("netlink send");
    RAIND_CHECK(receive(socket.get(), kSequence, out)
                    .context(fmt::format("list filters of interface {}", ifindex)));
    return out;
}

}  // namespace

Result<std::vector<TcFilter>> tc_filters(std::uint32_t ifindex, TcHook hook) {
    constexpr int kAttempts = 5;
    for (int attempt = 1;; ++attempt) {
        auto filters = dump(ifindex, hook);
        // EINTR: the list changed while it was being told, and may lack what is there.
        if (filters || filters.error().os_error() != EINTR || attempt == kAttempts)
            return filters;
    }
}

}  // namespace raind::bpf
