#include "userspace/netfilter/connections.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <memory>
#include <sys/socket.h>

namespace raind::netfilter {
namespace {

constexpr std::size_t kBuffer = 32768;
constexpr std::size_t kMessage = 1024;

struct CloseSocket {
    void operator()(mnl_socket* socket) const { ::mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

// What a deletion needs of an entry: its first direction as the kernel wrote it, and its number,
// so that a successor with the same addresses is left alone.
struct Entry {
    std::uint8_t family = 0;
    std::uint32_t id = 0;  // network order
    std::vector<char> tuple;
};

using Table = std::array<const nlattr*, CTA_MAX + 1>;

template <typename Walk>
Table attributes(Walk&& walk) {
    Table table{};
    walk(
        [](const nlattr* attribute, void* data) {
            auto& known = *static_cast<Table*>(data);
            const auto type = ::mnl_attr_get_type(attribute);
            if (type < known.size())
                known[type] = attribute;
            return MNL_CB_OK;
        },
        &table);
    return table;
}

Table inside(const nlattr* nest) {
    if (nest == nullptr)
        return {};
    return attributes(
        [&](mnl_attr_cb_t each, void* data) { ::mnl_attr_parse_nested(nest, each, data); });
}

// The source of one direction.
IpAddress source_of(const nlattr* tuple) {
    const Table ip = inside(inside(tuple)[CTA_TUPLE_IP]);
    if (const nlattr* v4 = ip[CTA_IP_V4_SRC];
        v4 != nullptr && ::mnl_attr_get_payload_len(v4) == 4) {
        std::uint32_t word = 0;
        std::memcpy(&word, ::mnl_attr_get_payload(v4), sizeof word);
        return IpAddress::v4(__builtin_bswap32(word));
    }
    if (const nlattr* v6 = ip[CTA_IP_V6_SRC];
        v6 != nullptr && ::mnl_attr_get_payload_len(v6) == 16) {
        IpAddress::Bytes bytes{};
        std::memcpy(bytes.data(), ::mnl_attr_get_payload(v6), bytes.size());
        return IpAddress(bytes);
    }
    return {};
}

struct Search {
    const std::vector<IpAddress>& addresses;
    std::vector<Entry> found;
};

int look(const nlmsghdr* message, void* data) {
    auto& search = *static_cast<Search*>(data);
    const auto* head = static_cast<const nfgenmsg*>(::mnl_nlmsg_get_payload(message));
    const Table table = attributes([&](mnl_attr_cb_t each, void* to) {
        ::mnl_attr_parse(message, sizeof(nfgenmsg), each, to);
    });
    const nlattr* opener = table[CTA_TUPLE_ORIG];
    const auto wanted = [&](const nlattr* tuple) {
        return tuple != nullptr && std::ranges::count(search.addresses, source_of(tuple)) != 0;
    };
    if (opener == nullptr || (!wanted(opener) && !wanted(table[CTA_TUPLE_REPLY])))
        return MNL_CB_OK;
    Entry entry;
    entry.family = head->nfgen_family;
    if (table[CTA_ID] != nullptr)
        std::memcpy(&entry.id, ::mnl_attr_get_payload(table[CTA_ID]), sizeof entry.id);
    const auto* bytes = static_cast<const char*>(::mnl_attr_get_payload(opener));
    entry.tuple.assign(bytes, bytes + ::mnl_attr_get_payload_len(opener));
    search.found.push_back(std::move(entry));
    return MNL_CB_OK;
}

class Tracker {
  public:
    static Result<Tracker> open() {
        Socket socket(::mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
        if (!socket || ::mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0)
            return os_error("open the connection table");
        return Tracker(std::move(socket));
    }

    Result<std::vector<Entry>> find(const std::vector<IpAddress>& addresses) {
        Search search{.addresses = addresses, .found = {}};
        begin(IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
        RAIND_CHECK(exchange(look, &search).context("list connections"));
        return std::move(search.found);
    }

    // True: it was there.
    Result<bool> forget(const Entry& entry) {
        begin(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, entry.family);
        if (!::mnl_attr_put_check(header(), buffer_.size(), CTA_TUPLE_ORIG | NLA_F_NESTED,
                                  entry.tuple.size(), entry.tuple.data()) ||
            !::mnl_attr_put_check(header(), buffer_.size(), CTA_ID, sizeof entry.id, &entry.id))
            return Error(Errc::Internal, "connection entry too large");
        auto done = exchange(nullptr, nullptr);
        if (done)
            return true;
        if (done.error().os_error() == ENOENT)
            return false;
        return std::move(done.error()).context("forget a connection");
    }

  private:
    explicit Tracker(Socket socket) : socket_(std::move(socket)), buffer_(kMessage) {}

    nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(buffer_.data()); }

    void begin(unsigned type, unsigned flags, std::uint8_t family) {
        ::mnl_nlmsg_put_header(buffer_.data());
        header()->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type);
        header()->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
        header()->nlmsg_seq = ++sequence_;
        auto* head =
            static_cast<nfgenmsg*>(::mnl_nlmsg_put_extra_header(header(), sizeof(nfgenmsg)));
        head->nfgen_family = family;
        head->version = NFNETLINK_V0;
    }

    Status exchange(mnl_cb_t take, void* data) {
        if (::mnl_socket_sendto(socket_.get(), header(), header()->nlmsg_len) < 0)
            return os_error("ask the kernel");
        std::vector<char> answer(kBuffer);
        const unsigned port = ::mnl_socket_get_portid(socket_.get());
        while (true) {
            const auto size = ::mnl_socket_recvfrom(socket_.get(), answer.data(), answer.size());
            if (size < 0)
                return os_error("answer of the kernel");
            const int more = ::mnl_cb_run(answer.data(), static_cast<std::size_t>(size), sequence_,
                                          port, take, data);
            // A dump that others changed meanwhile is as good: what is new is not ours.
            if (more < 0 && errno != EINTR)
                return os_error("answer of the kernel");
            if (more == MNL_CB_STOP)
                return {};
        }
    }

    Socket socket_;
    std::vector<char> buffer_;
    unsigned sequence_ = 0;
};

}  // namespace

Result<std::size_t> forget_connections(const NetnsRef& netns,
                                       const std::vector<IpAddress>& addresses) {
    return run_in_netns(netns, [&]() -> Result<std::size_t> {
        RAIND_TRY(Tracker tracker, Tracker::open());
        RAIND_TRY(const auto entries, tracker.find(addresses));
        std::size_t count = 0;
        for (const Entry& entry : entries) {
            RAIND_TRY(const bool there, tracker.forget(entry));
            count += there ? 1 : 0;
        }
        return count;
    });
}

}  // namespace raind::netfilter
