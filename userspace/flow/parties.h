// The two parties of an event as a record names them. Pure: event and snapshot in, names out.
//
// The sender is known by its port (endpoint id) alone. An address that the sender only claimed
// never names anybody: it is shown as `claimed`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "raind/abi/event.h"

#include "userspace/common/addr.h"
#include "userspace/flow/identity.h"

namespace raind::flow {

struct Party {
    std::string_view kind;  // container, container_unresolved, external, unknown
    IpAddress ip;
    std::uint16_t port = 0;
    std::string_view scope;              // host, gateway, dns; else empty
    const Endpoint* endpoint = nullptr;  // containers only; lives as long as the snapshot

    bool is_container() const { return kind.starts_with("container"); }
};

struct Parties {
    Party src;
    Party dst;
    std::string_view kind;       // east-west, north-south, unknown
    std::string_view direction;  // egress, ingress, east-west; empty: not known
    IpAddress claimed;           // zero: nothing was claimed
    std::string reason;          // what could not be resolved
};

Parties resolve_parties(const raind_event& event, const Snapshot& identities);

// TCP, UDP, ICMP, ICMPV6, IPPROTO_<n>, UNKNOWN.
std::string proto_name(const raind_event& event);
bool is_icmp(const raind_event& event);

}  // namespace raind::flow
