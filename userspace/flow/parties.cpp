#include "userspace/flow/parties.h"

#include <cstring>
#include <netinet/in.h>

#include "raind/abi/enums.h"

namespace raind::flow {

namespace {

IpAddress address_of(const raind_ip& ip) {
    IpAddress::Bytes bytes{};
    std::memcpy(bytes.data(), ip.b, bytes.size());
    return IpAddress(bytes);
}

std::string_view scope_of(std::uint32_t identity) {
    switch (identity) {
        case RAIND_ID_HOST:
            return "host";
        case RAIND_ID_GATEWAY:
            return "gateway";
        case RAIND_ID_DNS:
            return "dns";
        default:
            return {};
    }
}

// Refusals of step 4, 6, 9 and 10 of raind_from: the port is sure, what the frame says is not.
bool claims_only(std::uint8_t reason) {
    return reason == RAIND_R_SRC_IP || reason == RAIND_R_SRC_MAC || reason == RAIND_R_ARP ||
           reason == RAIND_R_NDP;
}

// Refusals of raind_to: a container's or the host's address on a packet that neither sent.
bool forged_outside(std::uint8_t reason) {
    return reason == RAIND_R_UNSTAMPED || reason == RAIND_R_SPOOF;
}

bool owns(const Endpoint& endpoint, const IpAddress& ip) {
    return ip == endpoint.ip4 || ip == endpoint.ip6;
}

IpAddress own_address(const Endpoint& endpoint, std::uint8_t family) {
    return family == 6 && !endpoint.ip6.is_zero() ? endpoint.ip6 : endpoint.ip4;
}

Party by_endpoint(std::uint32_t ep, const IpAddress& ip, const Snapshot& identities) {
    Party party;
    party.ip = ip;
    party.endpoint = identities.by_ep(ep);
    party.kind = party.endpoint != nullptr ? "container" : "container_unresolved";
    return party;
}

Party by_class(std::uint32_t identity, const IpAddress& ip) {
    Party party;
    party.ip = ip;
    party.scope = scope_of(identity);
    if (identity == RAIND_ID_POOL)
        party.kind = "container_unresolved";
    else
        party.kind = ip.is_zero() ? "unknown" : "external";
    return party;
}

Party nobody(const IpAddress& ip) {
    Party party;
    party.kind = "unknown";
    party.ip = ip;
    return party;
}

Party source_of(const raind_event& event, const Snapshot& identities, IpAddress& claimed) {
    const IpAddress ip = address_of(event.src);
    // Here the endpoint id of the event is what the claimed address stands for.
    if (forged_outside(event.reason)) {
        claimed = ip;
        return nobody(ip);
    }
    if (event.src_ep == 0)
        return event.src_identity == RAIND_ID_UNKNOWN ? nobody(ip)
                                                      : by_class(event.src_identity, ip);
    Party party = by_endpoint(event.src_ep, ip, identities);
    if (party.endpoint == nullptr) {
        // Whoever it was, it was not the address that it claimed.
        if (event.reason == RAIND_R_SRC_IP)
            party.ip = IpAddress();
        if (claims_only(event.reason))
            claimed = ip;
        return party;
    }
    if (claims_only(event.reason) && !owns(*party.endpoint, ip)) {
        claimed = ip;
        party.ip = own_address(*party.endpoint, event.family);
    } else if (ip.is_zero()) {
        party.ip = own_address(*party.endpoint, event.family);
    }
    return party;
}

Party destination_of(const raind_event& event, const Snapshot& identities) {
    const IpAddress ip = address_of(event.dst);
    if (event.dst_ep != 0) {
        Party party = by_endpoint(event.dst_ep, ip, identities);
        if (party.endpoint != nullptr && ip.is_zero())
            party.ip = own_address(*party.endpoint, event.family);
        return party;
    }
    // Refused before its destination was looked up.
    if (event.dst_identity == RAIND_ID_UNKNOWN && !ip.is_zero()) {
        if (const Endpoint* endpoint = identities.by_address(ip, event.time)) {
            Party party;
            party.ip = ip;
            party.endpoint = endpoint;
            party.kind = "container";
            return party;
        }
    }
    return by_class(event.dst_identity, ip);
}

std::string_view kind_of(const raind_event& event, const Parties& parties) {
    if (forged_outside(event.reason))
        return "north-south";
    if (parties.src.kind == "unknown" || parties.dst.kind == "unknown")
        return "unknown";
    if (parties.src.is_container() && parties.dst.is_container())
        return "east-west";
    if ((event.flags & RAIND_EVF_EAST_WEST) != 0)
        return "east-west";
    if ((event.flags & (RAIND_EVF_OUT | RAIND_EVF_IN | RAIND_EVF_HOST | RAIND_EVF_PUBLISHED)) != 0)
        return "north-south";
    const bool one = parties.src.is_container() != parties.dst.is_container();
    const bool other = parties.src.kind == "external" || parties.dst.kind == "external";
    // Multicast and the like go nowhere: neither kind.
    const bool special = event.dst_identity == RAIND_ID_SPECIAL;
    return one && other && !special ? "north-south" : "unknown";
}

std::string_view direction_of(const raind_event& event, const Parties& parties) {
    if (forged_outside(event.reason))
        return "ingress";
    if (parties.kind == "east-west")
        return "east-west";
    if ((event.flags & RAIND_EVF_OUT) != 0)
        return "egress";
    if ((event.flags & RAIND_EVF_IN) != 0)
        return "ingress";
    if (parties.kind != "north-south")
        return {};
    return parties.src.is_container() ? "egress" : "ingress";
}

}  // namespace

bool is_icmp(const raind_event& event) {
    return (event.family == 4 && event.proto == IPPROTO_ICMP) ||
           (event.family == 6 && event.proto == IPPROTO_ICMPV6);
}

std::string proto_name(const raind_event& event) {
    if (event.family == 0)
        return "UNKNOWN";
    switch (event.proto) {
        case IPPROTO_TCP:
            return "TCP";
        case IPPROTO_UDP:
            return "UDP";
        case IPPROTO_ICMP:
            return "ICMP";
        case IPPROTO_ICMPV6:
            return "ICMPV6";
        default:
            return "IPPROTO_" + std::to_string(event.proto);
    }
}

Parties resolve_parties(const raind_event& event, const Snapshot& identities) {
    Parties parties;
    parties.src = source_of(event, identities, parties.claimed);
    parties.dst = destination_of(event, identities);
    if (!is_icmp(event)) {
        parties.src.port = event.sport;
        parties.dst.port = event.dport;
    }
    parties.kind = kind_of(event, parties);
    parties.direction = direction_of(event, parties);
    if (parties.src.kind == "container_unresolved")
        parties.reason = "src ip not mapped";
    if (parties.dst.kind == "container_unresolved")
        parties.reason += parties.reason.empty() ? "dst ip not mapped" : "; dst ip not mapped";
    return parties;
}

}  // namespace raind::flow
