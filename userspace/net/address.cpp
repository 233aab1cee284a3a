#include "userspace/net/address.h"

#include <algorithm>
#include <fmt/format.h>
#include <linux/rtnetlink.h>

namespace raind::net {
namespace {

unsigned char family_of(const IpAddress& address) {
    return address.is_v4() ? AF_INET : AF_INET6;
}

// EADDRNOTAVAIL, ENODEV, ENXIO, ENOENT, ESRCH: what was to be removed is not there.
Status absent_is_success(Status done) {
    if (done)
        return done;
    switch (done.error().os_error()) {
        case EADDRNOTAVAIL:
        case ENODEV:
        case ENXIO:
        case ENOENT:
        case ESRCH:
            return {};
        default:
            return done;
    }
}

void fill_address(NetlinkMessage& message, int index, const InterfaceAddress& address) {
    auto& info = message.fixed<ifaddrmsg>();
    info.ifa_family = family_of(address.address);
    info.ifa_prefixlen = static_cast<unsigned char>(address.length);
    info.ifa_index = static_cast<unsigned>(index);
    message.put_address(IFA_LOCAL, address.address);
    message.put_address(IFA_ADDRESS, address.address);
}

Result<Cidr> destination_of(const rtmsg& route, const Attributes& attrs) {
    IpAddress address = attrs.address(RTA_DST);
    if (!attrs.has(RTA_DST) && route.rtm_family == AF_INET)
        address = IpAddress::v4(0);
    return Cidr::make(address, route.rtm_dst_len);
}

bool own_kind(unsigned char type, OwnKind& kind) {
    switch (type) {
        case RTN_LOCAL:
            kind = OwnKind::Local;
            return true;
        case RTN_BROADCAST:
            kind = OwnKind::Broadcast;
            return true;
        case RTN_ANYCAST:
            kind = OwnKind::Anycast;
            return true;
        default:
            return false;
    }
}

Status each_route(NetlinkSocket& socket, unsigned char family, const std::function<void()>& begin,
                  const std::function<void(const rtmsg&, const Attributes&)>& take) {
    NetlinkMessage message(RTM_GETROUTE, NLM_F_DUMP);
    message.fixed<rtmsg>().rtm_family = family;
    return socket
        .dump(message, begin,
              [&](const nlmsghdr* answer) {
                  if (answer->nlmsg_type != RTM_NEWROUTE ||
                      answer->nlmsg_len < NLMSG_HDRLEN + sizeof(rtmsg))
                      return;
                  const auto* route = static_cast<const rtmsg*>(::mnl_nlmsg_get_payload(answer));
                  if (route->rtm_family == family)
                      take(*route, Attributes::of_message(answer, sizeof(rtmsg)));
              })
        .context("list the routes");
}

}  // namespace

Status set_address(NetlinkSocket& socket, int index, const InterfaceAddress& address) {
    NetlinkMessage message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    fill_address(message, index, address);
    message.put_u32(IFA_FLAGS, IFA_F_PERMANENT | IFA_F_NODAD);
    if (address.address.is_v4() && address.length < 31) {
        const std::uint32_t hosts = 0xffffffffU >> address.length;
        message.put_address(IFA_BROADCAST, IpAddress::v4(address.address.v4_host_order() | hosts));
    }
    return socket.request(message).context(
        fmt::format("address {}/{}", address.address.to_string(), address.length));
}

Status remove_address(NetlinkSocket& socket, int index, const InterfaceAddress& address) {
    NetlinkMessage message(RTM_DELADDR, 0);
    fill_address(message, index, address);
    return absent_is_success(socket.request(message))
        .context(fmt::format("remove address {}", address.address.to_string()));
}

Result<std::vector<InterfaceAddress>> list_addresses(NetlinkSocket& socket, int index) {
    std::vector<InterfaceAddress> found;
    NetlinkMessage message(RTM_GETADDR, NLM_F_DUMP);
    message.fixed<ifaddrmsg>().ifa_index = static_cast<unsigned>(index);
    RAIND_CHECK(socket.dump(
        message, [&] { found.clear(); },
        [&](const nlmsghdr* answer) {
            if (answer->nlmsg_type != RTM_NEWADDR ||
                answer->nlmsg_len < NLMSG_HDRLEN + sizeof(ifaddrmsg))
                return;
            const auto* info = static_cast<const ifaddrmsg*>(::mnl_nlmsg_get_payload(answer));
            const Attributes attrs = Attributes::of_message(answer, sizeof(ifaddrmsg));
            if (info->ifa_index != static_cast<unsigned>(index))
                return;
            const std::uint16_t which = attrs.has(IFA_LOCAL) ? IFA_LOCAL : IFA_ADDRESS;
            found.push_back({attrs.address(which), info->ifa_prefixlen});
        }));
    return found;
}

Status set_default_route(NetlinkSocket& socket, int index, const IpAddress& gateway) {
    NetlinkMessage message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    auto& route = message.fixed<rtmsg>();
    route.rtm_family = family_of(gateway);
    route.rtm_table = RT_TABLE_MAIN;
    route.rtm_protocol = RTPROT_STATIC;
    route.rtm_scope = RT_SCOPE_UNIVERSE;
    route.rtm_type = RTN_UNICAST;
    message.put_address(RTA_GATEWAY, gateway);
    message.put_u32(RTA_OIF, static_cast<std::uint32_t>(index));
    return socket.request(message).context(fmt::format("default route by {}", gateway.to_string()));
}

Result<int> default_route_interface(NetlinkSocket& socket, bool ipv6) {
    int best = 0;
    std::uint32_t metric = 0;
    RAIND_CHECK(each_route(
        socket, ipv6 ? AF_INET6 : AF_INET, [&] { best = 0; },
        [&](const rtmsg& route, const Attributes& attrs) {
            if (route.rtm_dst_len != 0 || route.rtm_type != RTN_UNICAST ||
                attrs.u32(RTA_TABLE, route.rtm_table) != RT_TABLE_MAIN)
                return;
            const std::uint32_t priority = attrs.u32(RTA_PRIORITY);
            if (best == 0 || priority < metric) {
                best = static_cast<int>(attrs.u32(RTA_OIF));
                metric = priority;
            }
        }));
    return best;
}

Status set_neighbour(NetlinkSocket& socket, const Neighbour& neighbour) {
    NetlinkMessage message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    auto& info = message.fixed<ndmsg>();
    info.ndm_family = family_of(neighbour.address);
    info.ndm_ifindex = neighbour.index;
    info.ndm_state = NUD_PERMANENT;
    message.put_address(NDA_DST, neighbour.address);
    message.put_mac(NDA_LLADDR, neighbour.mac);
    return socket.request(message).context(
        fmt::format("neighbour {}", neighbour.address.to_string()));
}

Status remove_neighbour(NetlinkSocket& socket, int index, const IpAddress& address) {
    NetlinkMessage message(RTM_DELNEIGH, 0);
    auto& info = message.fixed<ndmsg>();
    info.ndm_family = family_of(address);
    info.ndm_ifindex = index;
    message.put_address(NDA_DST, address);
    return absent_is_success(socket.request(message))
        .context(fmt::format("remove neighbour {}", address.to_string()));
}

Result<std::vector<Neighbour>> list_permanent_neighbours(NetlinkSocket& socket, int index) {
    std::vector<Neighbour> found;
    NetlinkMessage message(RTM_GETNEIGH, NLM_F_DUMP);
    message.fixed<ndmsg>();
    message.put_u32(NDA_IFINDEX, static_cast<std::uint32_t>(index));
    RAIND_CHECK(socket.dump(
        message, [&] { found.clear(); },
        [&](const nlmsghdr* answer) {
            if (answer->nlmsg_type != RTM_NEWNEIGH ||
                answer->nlmsg_len < NLMSG_HDRLEN + sizeof(ndmsg))
                return;
            const auto* info = static_cast<const ndmsg*>(::mnl_nlmsg_get_payload(answer));
            const Attributes attrs = Attributes::of_message(answer, sizeof(ndmsg));
            if (info->ndm_ifindex == index && (info->ndm_state & NUD_PERMANENT) != 0 &&
                (info->ndm_family == AF_INET || info->ndm_family == AF_INET6))
                found.push_back({index, attrs.address(NDA_DST), attrs.mac(NDA_LLADDR)});
        }));
    return found;
}

Status set_forwarding_entry(NetlinkSocket& socket, int port_index, const MacAddress& mac) {
    NetlinkMessage message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    auto& info = message.fixed<ndmsg>();
    info.ndm_family = AF_BRIDGE;
    info.ndm_ifindex = port_index;
    info.ndm_state = NUD_NOARP;  // static: never ages, never moves to another port
    info.ndm_flags = NTF_MASTER;
    message.put_mac(NDA_LLADDR, mac);
    return socket.request(message).context(fmt::format("forwarding entry {}", mac.to_string()));
}

Result<std::vector<ForwardingEntry>> list_forwarding_entries(NetlinkSocket& socket, int bridge) {
    std::vector<ForwardingEntry> found;
    NetlinkMessage message(RTM_GETNEIGH, NLM_F_DUMP);
    message.fixed<ndmsg>().ndm_family = AF_BRIDGE;
    message.put_u32(NDA_MASTER, static_cast<std::uint32_t>(bridge));
    RAIND_CHECK(socket.dump(
        message, [&] { found.clear(); },
        [&](const nlmsghdr* answer) {
            if (answer->nlmsg_type != RTM_NEWNEIGH ||
                answer->nlmsg_len < NLMSG_HDRLEN + sizeof(ndmsg))
                return;
            const auto* info = static_cast<const ndmsg*>(::mnl_nlmsg_get_payload(answer));
            const Attributes attrs = Attributes::of_message(answer, sizeof(ndmsg));
            if (attrs.u32(NDA_MASTER) == static_cast<std::uint32_t>(bridge))
                found.push_back(
                    {info->ndm_ifindex, attrs.mac(NDA_LLADDR), (info->ndm_state & NUD_NOARP) != 0});
        }));
    return found;
}

Result<std::vector<OwnAddress>> list_own_addresses(NetlinkSocket& socket) {
    std::vector<OwnAddress> all;
    for (const unsigned char family :
         {static_cast<unsigned char>(AF_INET), static_cast<unsigned char>(AF_INET6)}) {
        std::vector<OwnAddress> found;
        RAIND_CHECK(each_route(
            socket, family, [&] { found.clear(); },
            [&](const rtmsg& route, const Attributes& attrs) {
                OwnKind kind{};
                if (!own_kind(route.rtm_type, kind))
                    return;
                if (auto prefix = destination_of(route, attrs))
                    found.push_back({*prefix, kind, static_cast<int>(attrs.u32(RTA_OIF))});
            }));
        all.insert(all.end(), found.begin(), found.end());
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

}  // namespace raind::net
