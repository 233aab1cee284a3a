// The bridge half of Network: bridges, forwarding, listings.
#include <algorithm>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "userspace/net/network.h"

namespace raind::net {
namespace {

// Addresses of the bridge are set without duplicate detection, so that it answers at once; nothing
// that a container advertises changes it. IPv4 redirects to containers would undo the routing by
// the gateway (the kernel ORs this with conf/all: the guard table drops what still gets through).
std::vector<Sysctl> bridge_sysctls(const std::string& name) {
    const std::string v4 = fmt::format("ipv4/conf/{}/", name);
    const std::string v6 = fmt::format("ipv6/conf/{}/", name);
    return {{v4 + "send_redirects", "0"},      {v4 + "accept_redirects", "0"},
            {v4 + "proxy_arp", "0"},           {v6 + "accept_ra", "0", true},
            {v6 + "autoconf", "0", true},      {v6 + "accept_dad", "0", true},
            {v6 + "dad_transmits", "0", true}, {v6 + "accept_redirects", "0", true},
            {v6 + "disable_ipv6", "0", true}};
}

bool link_local(const IpAddress& address) {
    return !address.is_v4() && address.bytes()[0] == 0xfe && (address.bytes()[1] & 0xc0) == 0x80;
}

}  // namespace

Result<std::unique_ptr<Network>> Network::open(const NetnsRef& netns) {
    RAIND_TRY(auto own, netns.duplicate());
    RAIND_TRY(auto socket, NetlinkSocket::open(own));
    return std::unique_ptr<Network>(new Network(std::move(own), std::move(socket)));
}

Status Network::correct_bridge(const BridgeSpec& spec, const Link& link) {
    if (link.kind != "bridge")
        return Error(Errc::Conflict, fmt::format("{} exists and is not a bridge", spec.name));
    if (link.mac != spec.mac)
        RAIND_CHECK(change_link(socket_, link.index, {.mac = spec.mac}));
    if (link.mtu != spec.mtu)
        RAIND_CHECK(change_link(socket_, link.index, {.mtu = spec.mtu}));
    if (!link.multicast_snooping && !link.vlan_filtering && !link.spanning_tree)
        return {};
    NetlinkMessage message(RTM_NEWLINK, 0);
    message.fixed<ifinfomsg>().ifi_index = link.index;
    nlattr* info = message.begin(IFLA_LINKINFO);
    message.put_text(IFLA_INFO_KIND, "bridge");
    nlattr* data = message.begin(IFLA_INFO_DATA);
    // Only what differs: a kernel built without VLANs or snooping refuses even "off".
    if (link.spanning_tree)
        message.put_u32(IFLA_BR_STP_STATE, 0);
    if (link.vlan_filtering)
        message.put_u8(IFLA_BR_VLAN_FILTERING, 0);
    if (link.multicast_snooping)
        message.put_u8(IFLA_BR_MCAST_SNOOPING, 0);
    message.end(data);
    message.end(info);
    return socket_.request(message);
}

Status Network::set_bridge_addresses(const BridgeSpec& spec, int index, bool ip6) {
    std::vector<InterfaceAddress> wanted{spec.ip4};
    if (ip6)
        wanted.push_back(*spec.ip6);
    RAIND_TRY(const auto present, list_addresses(socket_, index));
    for (const auto& address : present)
        if (!link_local(address.address) && std::ranges::find(wanted, address) == wanted.end())
            RAIND_CHECK(remove_address(socket_, index, address));
    for (const auto& address : wanted)
        RAIND_CHECK(set_address(socket_, index, address));
    return {};
}

Result<BridgeState> Network::ensure_bridge(const BridgeSpec& spec) {
    const std::lock_guard lock(mutex_);
    const auto attempt = [&]() -> Result<BridgeState> {
        RAIND_TRY(auto found, find_link(socket_, spec.name));
        if (!found) {
            RAIND_CHECK(create_bridge(socket_, {spec.name, spec.mac, spec.mtu}));
            RAIND_TRY(found, find_link(socket_, spec.name));
        }
        if (!found)
            return Error(Errc::Internal, "the bridge vanished");
        RAIND_CHECK(correct_bridge(spec, *found));
        RAIND_CHECK(write_sysctls(netns_, bridge_sysctls(spec.name)));
        const bool has_ip6 =
            read_sysctl(netns_, fmt::format("ipv6/conf/{}/disable_ipv6", spec.name)).has_value();
        const bool ip6 = spec.ip6.has_value() && has_ip6;
        RAIND_CHECK(set_bridge_addresses(spec, found->index, ip6));
        RAIND_CHECK(change_link(socket_, found->index, {.up = OnOff::On}));
        return BridgeState{static_cast<std::uint32_t>(found->index), spec.mac, ip6};
    };
    return attempt().context(fmt::format("bridge {}", spec.name));
}

Status Network::remove_bridge(const std::string& name) {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(const auto found, find_link(socket_, name));
    if (!found)
        return {};
    if (found->kind != "bridge")
        return Error(Errc::Conflict, fmt::format("{} is not a bridge", name));
    RAIND_TRY(const auto all, list_links(socket_));
    const auto port = std::ranges::find(all, found->index, &Link::master);
    if (port != all.end())
        return Error(Errc::Conflict, fmt::format("bridge {} has the port {}", name, port->name));
    return net::delete_link(socket_, found->index);
}

Result<std::vector<Link>> Network::links() {
    const std::lock_guard lock(mutex_);
    return list_links(socket_);
}

Result<std::vector<Link>> Network::links_by_prefix(const std::string& prefix) {
    const std::lock_guard lock(mutex_);
    return find_links_by_prefix(socket_, prefix);
}

Result<std::optional<Link>> Network::link(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return find_link(socket_, name);
}

Status Network::delete_link(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return net::delete_link(socket_, name);
}

Status Network::keep_neighbours(const std::string& bridge,
                                const std::vector<IpAddress>& addresses) {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(const auto link, get_link(socket_, bridge));
    RAIND_TRY(const auto present, list_permanent_neighbours(socket_, link.index));
    for (const auto& entry : present)
        if (std::ranges::find(addresses, entry.address) == addresses.end())
            RAIND_CHECK(remove_neighbour(socket_, link.index, entry.address));
    return {};
}

Result<std::vector<OwnAddress>> Network::own_addresses() {
    const std::lock_guard lock(mutex_);
    return list_own_addresses(socket_);
}

Result<ForwardingState> Network::forwarding() {
    RAIND_TRY(const auto ip4, read_sysctl(netns_, "ipv4/ip_forward"));
    const auto ip6 = read_sysctl(netns_, "ipv6/conf/all/forwarding");
    return ForwardingState{ip4 == "1", ip6.has_value() && *ip6 == "1"};
}

Status Network::bring_loopback_up() {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(const Link loopback, get_link(socket_, "lo"));
    return change_link(socket_, loopback.index, {.up = OnOff::On});
}

Result<std::vector<Sysctl>> Network::enable_forwarding_own() {
    return write_sysctls(netns_, {{"ipv4/conf/all/send_redirects", "0"},
                                  {"ipv4/conf/default/send_redirects", "0"},
                                  {"ipv4/ip_forward", "1"},
                                  {"ipv6/conf/all/forwarding", "1", true}});
}

Result<std::vector<Sysctl>> Network::enable_forwarding_shared() {
    RAIND_TRY(const auto all, links());
    std::vector<Sysctl> wanted;
    // With forwarding on, an interface listens to advertisements only at 2. First these, then the
    // switch, so that no uplink loses its address meanwhile.
    for (const auto& link : all) {
        const std::string path = fmt::format("ipv6/conf/{}/accept_ra", link.name);
        const auto value = read_sysctl(netns_, path);
        if (value.has_value() && *value == "1" && !link.loopback)
            wanted.push_back({path, "2", true});
    }
    wanted.push_back({"ipv4/ip_forward", "1"});
    wanted.push_back({"ipv6/conf/all/forwarding", "1", true});
    return write_sysctls(netns_, wanted);
}

}  // namespace raind::net
