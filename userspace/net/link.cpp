#include "userspace/net/link.h"

#include <algorithm>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "userspace/common/ifname.h"

namespace raind::net {
namespace {

PortFlags parse_port(const Attributes& data) {
    return {.isolated = data.u8(IFLA_BRPORT_ISOLATED) != 0,
            .learning = data.u8(IFLA_BRPORT_LEARNING, 1) != 0,
            .unicast_flood = data.u8(IFLA_BRPORT_UNICAST_FLOOD, 1) != 0,
            .multicast_flood = data.u8(IFLA_BRPORT_MCAST_FLOOD, 1) != 0,
            .broadcast_flood = data.u8(IFLA_BRPORT_BCAST_FLOOD, 1) != 0,
            .neigh_suppress = data.u8(IFLA_BRPORT_NEIGH_SUPPRESS) != 0,
            .locked = data.u8(IFLA_BRPORT_LOCKED) != 0,
            .multicast_router = data.u8(IFLA_BRPORT_MULTICAST_ROUTER, 1)};
}

Link parse_link(const nlmsghdr* message) {
    const auto* info = static_cast<const ifinfomsg*>(::mnl_nlmsg_get_payload(message));
    const Attributes attrs = Attributes::of_message(message, sizeof(ifinfomsg));
    const Attributes details = Attributes::of_nest(attrs.find(IFLA_LINKINFO));
    Link link;
    link.index = info->ifi_index;
    link.name = attrs.text(IFLA_IFNAME);
    link.kind = details.text(IFLA_INFO_KIND);
    link.mac = attrs.mac(IFLA_ADDRESS);
    link.mtu = attrs.u32(IFLA_MTU);
    link.up = (info->ifi_flags & IFF_UP) != 0;
    link.running = link.up && attrs.u8(IFLA_OPERSTATE) == IF_OPER_UP;
    link.loopback = (info->ifi_flags & IFF_LOOPBACK) != 0;
    link.master = static_cast<int>(attrs.u32(IFLA_MASTER));
    link.peer = link.kind == "veth" ? static_cast<int>(attrs.u32(IFLA_LINK)) : 0;
    link.peer_elsewhere = attrs.has(IFLA_LINK_NETNSID);
    if (details.text(IFLA_INFO_SLAVE_KIND) == "bridge") {
        const Attributes port = Attributes::of_nest(details.find(IFLA_INFO_SLAVE_DATA));
        link.port = parse_port(port);
        link.forwarding = port.u8(IFLA_BRPORT_STATE) == BR_STATE_FORWARDING;
    }
    if (link.kind == "bridge") {
        const Attributes bridge = Attributes::of_nest(details.find(IFLA_INFO_DATA));
        link.multicast_snooping = bridge.u8(IFLA_BR_MCAST_SNOOPING) != 0;
        link.vlan_filtering = bridge.u8(IFLA_BR_VLAN_FILTERING) != 0;
        link.spanning_tree = bridge.u32(IFLA_BR_STP_STATE) != 0;
    }
    return link;
}

Result<std::vector<Link>> read_links(NetlinkSocket& socket, NetlinkMessage& message) {
    std::vector<Link> links;
    RAIND_CHECK(socket.dump(
        message, [&] { links.clear(); },
        [&](const nlmsghdr* answer) {
            if (answer->nlmsg_type == RTM_NEWLINK &&
                answer->nlmsg_len >= NLMSG_HDRLEN + sizeof(ifinfomsg))
                links.push_back(parse_link(answer));
        }));
    return links;
}

}  // namespace

Result<std::vector<Link>> list_links(NetlinkSocket& socket) {
    NetlinkMessage message(RTM_GETLINK, NLM_F_DUMP);
    message.fixed<ifinfomsg>();
    auto links = read_links(socket, message);
    return std::move(links).context("list the links");
}

Result<std::optional<Link>> find_link(NetlinkSocket& socket, const std::string& name) {
    RAIND_CHECK(check_interface_name(name));
    NetlinkMessage message(RTM_GETLINK, 0);
    message.fixed<ifinfomsg>();
    message.put_text(IFLA_IFNAME, name);
    auto links = read_links(socket, message);
    if (!links && links.error().os_error() == ENODEV)
        return std::optional<Link>{};
    if (!links)
        return std::move(links.error()).context(fmt::format("link {}", name));
    if (links->empty())
        return std::optional<Link>{};
    return std::optional<Link>(std::move(links->front()));
}

Result<Link> get_link(NetlinkSocket& socket, const std::string& name) {
    RAIND_TRY(auto link, find_link(socket, name));
    if (!link)
        return Error(Errc::NotFound, fmt::format("link {} does not exist", name), ENODEV);
    return std::move(*link);
}

Result<std::vector<Link>> find_links_by_prefix(NetlinkSocket& socket, std::string_view prefix) {
    RAIND_TRY(auto links, list_links(socket));
    std::erase_if(links, [prefix](const Link& link) { return !link.name.starts_with(prefix); });
    return links;
}

Status create_bridge(NetlinkSocket& socket, const BridgeLink& bridge) {
    RAIND_CHECK(check_interface_name(bridge.name));
    NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    message.fixed<ifinfomsg>();
    message.put_text(IFLA_IFNAME, bridge.name);
    message.put_mac(IFLA_ADDRESS, bridge.mac);
    message.put_u32(IFLA_MTU, bridge.mtu);
    nlattr* info = message.begin(IFLA_LINKINFO);
    message.put_text(IFLA_INFO_KIND, "bridge");
    nlattr* data = message.begin(IFLA_INFO_DATA);
    message.put_u32(IFLA_BR_STP_STATE, 0);
    message.put_u32(IFLA_BR_FORWARD_DELAY, 0);
    message.end(data);
    message.end(info);
    return socket.request(message).context(fmt::format("create bridge {}", bridge.name));
}

Status create_veth(NetlinkSocket& socket, const VethLink& veth) {
    RAIND_CHECK(check_interface_name(veth.name));
    RAIND_CHECK(check_interface_name(veth.peer_name));
    NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    message.fixed<ifinfomsg>();
    message.put_text(IFLA_IFNAME, veth.name);
    message.put_u32(IFLA_MTU, veth.mtu);
    nlattr* info = message.begin(IFLA_LINKINFO);
    message.put_text(IFLA_INFO_KIND, "veth");
    nlattr* data = message.begin(IFLA_INFO_DATA);
    nlattr* peer = message.begin(VETH_INFO_PEER, sizeof(ifinfomsg));
    message.put_text(IFLA_IFNAME, veth.peer_name);
    message.put_u32(IFLA_MTU, veth.mtu);
    message.put_mac(IFLA_ADDRESS, veth.peer_mac);
    message.end(peer);
    message.end(data);
    message.end(info);
    return socket.request(message).context(fmt::format("create veth {}", veth.name));
}

Status change_link(NetlinkSocket& socket, int index, const LinkChange& change) {
    NetlinkMessage message(RTM_NEWLINK, 0);
    auto& info = message.fixed<ifinfomsg>();
    info.ifi_index = index;
    if (change.up) {
        info.ifi_change = IFF_UP;
        info.ifi_flags = *change.up == OnOff::On ? static_cast<unsigned>(IFF_UP) : 0U;
    }
    if (change.name) {
        RAIND_CHECK(check_interface_name(*change.name));
        message.put_text(IFLA_IFNAME, *change.name);
    }
    if (change.mac)
        message.put_mac(IFLA_ADDRESS, *change.mac);
    if (change.mtu)
        message.put_u32(IFLA_MTU, *change.mtu);
    if (change.master)
        message.put_u32(IFLA_MASTER, static_cast<std::uint32_t>(*change.master));
    if (change.netns_fd)
        message.put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(*change.netns_fd));
    if (change.ip6_link_local) {
        nlattr* families = message.begin(IFLA_AF_SPEC);
        nlattr* inet6 = message.begin(AF_INET6);
        message.put_u8(IFLA_INET6_ADDR_GEN_MODE, *change.ip6_link_local == OnOff::On
                                                     ? IN6_ADDR_GEN_MODE_EUI64
                                                     : IN6_ADDR_GEN_MODE_NONE);
        message.end(inet6);
        message.end(families);
    }
    return socket.request(message).context(fmt::format("change link {}", index));
}

Status set_port_flags(NetlinkSocket& socket, int index, const PortFlags& flags) {
    NetlinkMessage message(RTM_SETLINK, 0);
    auto& info = message.fixed<ifinfomsg>();
    info.ifi_family = AF_BRIDGE;
    info.ifi_index = index;
    nlattr* port = message.begin(IFLA_PROTINFO);
    message.put_u8(IFLA_BRPORT_ISOLATED, flags.isolated ? 1 : 0);
    message.put_u8(IFLA_BRPORT_LEARNING, flags.learning ? 1 : 0);
    message.put_u8(IFLA_BRPORT_UNICAST_FLOOD, flags.unicast_flood ? 1 : 0);
    message.put_u8(IFLA_BRPORT_MCAST_FLOOD, flags.multicast_flood ? 1 : 0);
    message.put_u8(IFLA_BRPORT_BCAST_FLOOD, flags.broadcast_flood ? 1 : 0);
    message.put_u8(IFLA_BRPORT_NEIGH_SUPPRESS, flags.neigh_suppress ? 1 : 0);
    message.put_u8(IFLA_BRPORT_LOCKED, flags.locked ? 1 : 0);
    message.put_u8(IFLA_BRPORT_MULTICAST_ROUTER, flags.multicast_router);
    message.end(port);
    return socket.request(message).context(fmt::format("port flags of link {}", index));
}

Status delete_link(NetlinkSocket& socket, int index) {
    NetlinkMessage message(RTM_DELLINK, 0);
    message.fixed<ifinfomsg>().ifi_index = index;
    auto done = socket.request(message);
    if (!done && done.error().os_error() == ENODEV)
        return {};
    return std::move(done).context(fmt::format("delete link {}", index));
}

Status delete_link(NetlinkSocket& socket, const std::string& name) {
    RAIND_TRY(const auto link, find_link(socket, name));
    if (!link)
        return {};
    return delete_link(socket, link->index);
}

}  // namespace raind::net
