#include "userspace/runtime/port_publisher.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace raind::runtime {
namespace {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

SocketAddress socket_address(const core::PublishedPort& port) {
    SocketAddress out;
    if (port.address.is_v4()) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port.port);
        in.sin_addr.s_addr = htonl(port.address.v4_host_order());
        std::memcpy(&out.storage, &in, sizeof in);
        out.size = sizeof in;
    } else {
        sockaddr_in6 in{};
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(port.port);
        std::ranges::copy(port.address.bytes(), std::begin(in.sin6_addr.s6_addr));
        std::memcpy(&out.storage, &in, sizeof in);
        out.size = sizeof in;
    }
    return out;
}

Status set_option(const UniqueFd& fd, int level, int name, int value) {
    if (::setsockopt(fd.get(), level, name, &value, sizeof value) != 0)
        return os_error("set a socket option");
    return {};
}

// What is not translated is not to fill its queue.
Status drop_all(const UniqueFd& fd) {
    sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    const sock_fprog program{.len = 1, .filter = &drop};
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        return os_error("set a socket filter");
    return {};
}

enum class Reuse { No, Yes };

Result<UniqueFd> bound(const core::PublishedPort& port, Reuse reuse) {
    const bool udp = port.protocol == static_cast<std::uint8_t>(PortProtocol::Udp);
    UniqueFd fd(::socket(port.address.is_v4() ? AF_INET : AF_INET6,
                         (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
    if (!fd)
        return os_error("socket");
    if (!port.address.is_v4())
        RAIND_CHECK(set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    if (reuse == Reuse::Yes)
        RAIND_CHECK(set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1));
    if (udp)
        RAIND_CHECK(drop_all(fd));
    const SocketAddress address = socket_address(port);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0)
        return os_error("bind");
    return fd;
}

// Binding beside connections that were closed a moment ago needs SO_REUSEADDR, which alone would
// let others bind too. As one that listens the socket excludes them: the kernel looks for conflicts
// again then (inet_csk_listen_start), refuses where somebody listens, and does not share the port
// any more. It needs to listen for that moment only.
Status exclude_others(const UniqueFd& fd) {
    RAIND_CHECK(drop_all(fd));
    if (::listen(fd.get(), 0) != 0)
        return os_error("listen");
    RAIND_CHECK(set_option(fd, SOL_SOCKET, SO_REUSEADDR, 0));
    if (::shutdown(fd.get(), SHUT_RD) != 0)
        return os_error("end listening");
    return {};
}

Result<UniqueFd> bound_beside_closed(const core::PublishedPort& port) {
    RAIND_TRY(UniqueFd fd, bound(port, Reuse::Yes));
    RAIND_CHECK(exclude_others(fd));
    return fd;
}

std::string host_side(const core::PublishedPort& port) {
    const PortMapping mapping{
        .address = port.address.is_unspecified() ? std::nullopt : std::optional(port.address),
        .host = port.port,
        .container = port.target_port,
        .protocol = static_cast<PortProtocol>(port.protocol)};
    return mapping.host_side();
}

// An empty descriptor: this kernel has no IPv6, and nobody asked for it by name.
Result<UniqueFd> take(const core::PublishedPort& port) {
    auto fd = bound(port, Reuse::No);
    const bool tcp = port.protocol == static_cast<std::uint8_t>(PortProtocol::Tcp);
    if (!fd && fd.error().os_error() == EADDRINUSE && tcp)
        fd = bound_beside_closed(port);
    if (fd)
        return fd;
    const int code = fd.error().os_error();
    if (code == EADDRINUSE)
        return Error(Errc::Conflict,
                     fmt::format("port {} is in use by a process of the host", host_side(port)));
    const bool no_family = code == EAFNOSUPPORT || code == EADDRNOTAVAIL;
    if (no_family && port.address.is_zero())
        return UniqueFd();
    if (code == EADDRNOTAVAIL)
        return Error(Errc::InvalidArgument,
                     fmt::format("cannot publish {}: {} is not an address of the host",
                                 host_side(port), port.address.to_string()));
    return std::move(fd.error()).context(fmt::format("publish {}", host_side(port)));
}

}  // namespace

std::vector<core::PublishedPort> published_ports(const core::ContainerRecord& container) {
    std::vector<core::PublishedPort> out;
    const auto add = [&](const PortMapping& mapping, const IpAddress& address) {
        const IpAddress& target = address.is_v4() ? container.ip4 : container.ip6;
        if (!target.is_unspecified())
            out.push_back({.address = address,
                           .port = mapping.host,
                           .protocol = static_cast<std::uint8_t>(mapping.protocol),
                           .identity = container.identity,
                           .ep_id = container.ep_id,
                           .target = target,
                           .target_port = mapping.container});
    };
    for (const PortMapping& mapping : container.options.ports) {
        if (mapping.address) {
            add(mapping, *mapping.address);
            continue;
        }
        add(mapping, IpAddress::v4(0));
        add(mapping, IpAddress());
    }
    return out;
}

Status PortPublisher::take_missing(const NetnsRef& netns, std::vector<Hold>& holds) {
    return run_in_netns(netns, [&]() -> Status {
        Status done;
        for (Hold& hold : holds) {
            if (hold.held)
                continue;
            auto socket = take(hold.port);
            hold.held = socket.has_value();
            if (socket) {
                hold.socket = std::move(*socket);
                continue;
            }
            hold.problem = socket.error().message();
            if (done)
                done = std::move(socket.error());
        }
        return done;
    });
}

Status PortPublisher::hold(const NetnsRef& netns, const core::ContainerRecord& container) {
    const auto ports = published_ports(container);
    if (ports.empty())
        return {};
    auto& holds = entries_[container.id].holds;
    if (holds.empty())
        for (const auto& port : ports)
            holds.push_back({.port = port});
    return take_missing(netns, holds);
}

Status PortPublisher::reserve(const NetnsRef& netns, const core::ContainerRecord& container) {
    auto done = hold(netns, container);
    if (done)
        return {};
    const auto entry = entries_.find(container.id);
    entry->second.holds.clear();
    if (entry->second.ports.empty())
        entries_.erase(entry);
    return done;
}

bool PortPublisher::hold_missing(const NetnsRef& netns) {
    bool some = false;
    bool all = true;
    for (auto& [id, entry] : entries_) {
        if (std::ranges::all_of(entry.holds, &Hold::held))
            continue;
        some = true;
        all &= take_missing(netns, entry.holds).has_value();
    }
    return some && all;
}

std::vector<std::string> PortPublisher::missing() const {
    std::vector<std::string> out;
    for (const auto& [id, entry] : entries_)
        for (const Hold& hold : entry.holds)
            if (!hold.held)
                out.push_back(fmt::format("container {}: {}", id, hold.problem));
    return out;
}

void PortPublisher::publish(const core::ContainerRecord& container) {
    if (auto ports = published_ports(container); !ports.empty())
        entries_[container.id].ports = std::move(ports);
}

bool PortPublisher::withdraw(const std::string& id) {
    return entries_.erase(id) != 0;
}

std::vector<core::PublishedPort> PortPublisher::published() const {
    std::vector<core::PublishedPort> out;
    for (const auto& [id, entry] : entries_)
        out.insert(out.end(), entry.ports.begin(), entry.ports.end());
    return out;
}

bool PortPublisher::on_loopback() const {
    const auto here = [](const core::PublishedPort& port) {
        return port.address.is_v4() &&
               (port.address.is_unspecified() || port.address.v4_host_order() >> 24 == 127);
    };
    return std::ranges::any_of(
        entries_, [&](const auto& entry) { return std::ranges::any_of(entry.second.ports, here); });
}

}  // namespace raind::runtime
