// The endpoint half of Network: veth pairs from creation to removal.
#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <thread>

#include "userspace/net/network.h"

namespace raind::net {
namespace {

constexpr auto kRunningLimit = std::chrono::seconds(10);

std::vector<Sysctl> container_sysctls(const EndpointPort& port) {
    const std::string v6 = fmt::format("ipv6/conf/{}/", port.container_interface);
    std::vector<Sysctl> wanted{{v6 + "accept_ra", "0", true},
                               {v6 + "autoconf", "0", true},
                               {v6 + "accept_dad", "0", true},
                               {v6 + "dad_transmits", "0", true},
                               {v6 + "router_solicitations", "0", true},
                               {v6 + "accept_redirects", "0", true},
                               // Host group numbers: covers the shifted range of any container, so
                               // that ping works there without NET_RAW.
                               {"ipv4/ping_group_range", "0 2147483647"}};
    if (port.ip6)
        wanted.push_back({v6 + "disable_ipv6", "0", true});
    wanted.insert(wanted.end(), port.sysctls.begin(), port.sysctls.end());
    return wanted;
}

std::vector<IpAddress> addresses_of(const EndpointPort& port) {
    std::vector<IpAddress> addresses{port.ip4.address};
    if (port.ip6)
        addresses.push_back(port.ip6->address);
    return addresses;
}

// Errors of IPv6 calls on a kernel without it.
bool no_ip6(const Status& done) {
    return !done &&
           (done.error().os_error() == EAFNOSUPPORT || done.error().os_error() == EOPNOTSUPP);
}

}  // namespace

std::string peer_name_of(const std::string& interface) {
    if (interface.size() >= 2 && interface[1] != 'p')
        return fmt::format("{}p{}", interface[0], interface.substr(2));
    return fmt::format("p{}", interface.substr(1));
}

Result<std::uint32_t> Network::create_endpoint(const EndpointPort& port) {
    const std::lock_guard lock(mutex_);
    const std::string peer = peer_name_of(port.interface);
    RAIND_TRY(const auto old, find_link(socket_, port.interface));
    if (old && (old->kind != "veth" || old->up))
        return Error(Errc::Conflict, fmt::format("link {} is in use", port.interface));
    if (old)
        RAIND_CHECK(net::delete_link(socket_, old->index));
    RAIND_CHECK(create_veth(socket_, {port.interface, peer, port.mac, port.mtu}));
    RAIND_TRY(const auto made, get_link(socket_, port.interface));
    // A bridge port needs no address. Not possible at creation (the kernel has no IPv6 part of the
    // link yet then), early enough while it is down.
    auto done = change_link(socket_, made.index, {.ip6_link_local = OnOff::Off});
    if (!done && !no_ip6(done))
        return std::move(done.error());
    return static_cast<std::uint32_t>(made.index);
}

Status Network::enslave_endpoint(const EndpointPort& port) {
    const std::lock_guard lock(mutex_);
    const auto attempt = [&]() -> Status {
        RAIND_TRY(const auto link, get_link(socket_, port.interface));
        RAIND_TRY(const auto bridge, get_link(socket_, port.bridge));
        if (bridge.kind != "bridge")
            return Error(Errc::Conflict, fmt::format("{} is not a bridge", port.bridge));
        if (link.master != bridge.index)
            RAIND_CHECK(change_link(socket_, link.index, {.master = bridge.index}));
        RAIND_CHECK(set_port_flags(socket_, link.index, kPortOfContainer));
        RAIND_CHECK(set_forwarding_entry(socket_, link.index, port.mac));
        for (const auto& address : addresses_of(port)) {
            auto done = set_neighbour(socket_, {bridge.index, address, port.mac});
            if (!done && !(no_ip6(done) && !address.is_v4()))
                return done;
        }
        return {};
    };
    return attempt().context(fmt::format("port {}", port.interface));
}

Status Network::move_peer(const EndpointPort& port, const NetnsRef& container) {
    RAIND_TRY(const auto host_end, get_link(socket_, port.interface));
    RAIND_TRY(const auto peer, find_link(socket_, peer_name_of(port.interface)));
    if (peer && peer->peer == host_end.index && !peer->peer_elsewhere)
        return change_link(socket_, peer->index,
                           {.name = port.container_interface, .netns_fd = container.fd()});
    // Moved by an earlier attempt: then the interface inside has our host end as its other end.
    RAIND_TRY(auto inside, NetlinkSocket::open(container));
    RAIND_TRY(const auto moved, find_link(inside, port.container_interface));
    if (!moved || moved->peer != host_end.index || moved->index != host_end.peer)
        return Error(Errc::Conflict, "the container's end is neither here nor in the container");
    return {};
}

Status Network::configure_inside(const EndpointPort& port, const NetnsRef& container) {
    RAIND_TRY(auto socket, NetlinkSocket::open(container));
    RAIND_TRY(const auto loopback, get_link(socket, "lo"));
    RAIND_CHECK(change_link(socket, loopback.index, {.up = OnOff::On}));
    RAIND_TRY(const auto link, get_link(socket, port.container_interface));
    if (link.mac != port.mac)
        RAIND_CHECK(change_link(socket, link.index, {.mac = port.mac}));
    if (link.mtu != port.mtu)
        RAIND_CHECK(change_link(socket, link.index, {.mtu = port.mtu}));
    RAIND_CHECK(write_sysctls(container, container_sysctls(port)));
    // Up in here, while the host end is still down: routes need it and no frame passes.
    RAIND_CHECK(change_link(socket, link.index, {.up = OnOff::On}));
    RAIND_CHECK(set_address(socket, link.index, port.ip4));
    RAIND_CHECK(set_neighbour(socket, {link.index, port.gateway4, port.gateway_mac}));
    RAIND_CHECK(set_default_route(socket, link.index, port.gateway4));
    if (!port.ip6 || !port.gateway6)
        return {};
    auto done = set_address(socket, link.index, *port.ip6);
    if (no_ip6(done))
        return {};
    RAIND_CHECK(std::move(done));
    RAIND_CHECK(set_neighbour(socket, {link.index, *port.gateway6, port.gateway_mac}));
    return set_default_route(socket, link.index, *port.gateway6);
}

// The kernel sets queues in motion and lets a port take part in its bridge a moment after the
// carrier is there, on a work queue; until then packets vanish without a trace. No notification
// covers all three links, so they are looked at, every millisecond.
Status Network::wait_until_running(const EndpointPort& port, const NetnsRef& container) {
    RAIND_TRY(auto inside, NetlinkSocket::open(container));
    const auto deadline = std::chrono::steady_clock::now() + kRunningLimit;
    for (;;) {
        RAIND_TRY(const auto host_end, get_link(socket_, port.interface));
        RAIND_TRY(const auto bridge, get_link(socket_, port.bridge));
        RAIND_TRY(const auto container_end, get_link(inside, port.container_interface));
        if (host_end.running && host_end.forwarding && bridge.running && container_end.running)
            return {};
        if (std::chrono::steady_clock::now() > deadline)
            return Error(Errc::Unavailable, "the link does not come up");
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

Status Network::connect_endpoint(const EndpointPort& port, const NetnsRef& container) {
    const std::lock_guard lock(mutex_);
    const auto attempt = [&]() -> Status {
        RAIND_CHECK(move_peer(port, container));
        RAIND_CHECK(configure_inside(port, container));
        RAIND_TRY(const auto host_end, get_link(socket_, port.interface));
        // Fail closed: a port without its flags never goes up.
        if (host_end.port != kPortOfContainer)
            return Error(Errc::Conflict, "the port flags are not set");
        RAIND_CHECK(change_link(socket_, host_end.index, {.up = OnOff::On}));
        return wait_until_running(port, container);
    };
    return attempt().context(fmt::format("connect {}", port.interface));
}

Status Network::down_endpoint(const std::string& interface) {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(const auto link, find_link(socket_, interface));
    if (!link)
        return {};
    auto done = change_link(socket_, link->index, {.up = OnOff::Off});
    if (!done && done.error().os_error() == ENODEV)
        return {};
    return done;
}

Status Network::remove_endpoint(const EndpointPort& port) {
    const std::lock_guard lock(mutex_);
    RAIND_CHECK(net::delete_link(socket_, port.interface));
    RAIND_TRY(const auto bridge, find_link(socket_, port.bridge));
    if (!bridge)
        return {};
    for (const auto& address : addresses_of(port)) {
        auto done = remove_neighbour(socket_, bridge->index, address);
        if (!done && !(no_ip6(done) && !address.is_v4()))
            return done;
    }
    return {};
}

Result<std::vector<std::string>> Network::verify_endpoint(const EndpointPort& port) {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(const auto link, get_link(socket_, port.interface));
    RAIND_TRY(const auto bridge, get_link(socket_, port.bridge));
    std::vector<std::string> differences;
    if (link.master != bridge.index)
        differences.push_back(fmt::format("not on bridge {}", port.bridge));
    if (link.port != kPortOfContainer)
        differences.emplace_back("port flags changed");
    if (!link.up)
        differences.emplace_back("down");
    RAIND_TRY(const auto entries, list_forwarding_entries(socket_, bridge.index));
    const auto entry = std::ranges::find_if(entries, [&](const ForwardingEntry& item) {
        return item.port == link.index && item.mac == port.mac && item.is_static;
    });
    if (entry == entries.end())
        differences.emplace_back("no static forwarding entry");
    RAIND_TRY(const auto neighbours, list_permanent_neighbours(socket_, bridge.index));
    for (const auto& address : addresses_of(port))
        if (std::ranges::find(neighbours, Neighbour{bridge.index, address, port.mac}) ==
            neighbours.end())
            differences.push_back(fmt::format("no neighbour entry for {}", address.to_string()));
    return differences;
}

}  // namespace raind::net
