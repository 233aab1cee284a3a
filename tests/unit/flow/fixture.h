// Two containers, one rule, and events between them.
#pragma once

#include <cstring>
#include <doctest/doctest.h>
#include <string>
#include <string_view>

#include "raind/abi/enums.h"
#include "raind/abi/event.h"

#include "userspace/flow/identity.h"

namespace raind::flow::test {

inline constexpr std::uint32_t kWebEp = 11;
inline constexpr std::uint32_t kDbEp = 12;
inline constexpr std::uint32_t kRule = 256;
inline constexpr const char* kPolicy = "01kx5b6g2h7j8k9m0n1p2q3r4s";
inline constexpr const char* kWebJson =
    R"("container_id":"01kx3zzt55pw","container_name":"web","spiffe_id":"spiffe://raind/container/01kx3zzt55pw","veth":"rd_01kx3zzt55pw","container_uid":"01kx3zzt55pwabcdefghjkmnpq")";
inline constexpr const char* kDbJson =
    R"("container_id":"01kx5a0n2k8c","container_name":"db","spiffe_id":"spiffe://raind/container/01kx5a0n2k8c","veth":"rd_01kx5a0n2k8c","container_uid":"01kx5a0n2k8cabcdefghjkmnpq")";

inline Endpoint endpoint(std::uint32_t ep_id, const std::string& id, const std::string& name,
                         const char* ip4, const char* ip6) {
    Endpoint out;
    out.ep_id = ep_id;
    out.identity = 256 + ep_id;
    out.container_id = id;
    out.container_uid = id + "abcdefghjkmnpq";
    out.name = name;
    out.spiffe_id = "spiffe://raind/container/" + id;
    out.veth = "rd_" + id;
    out.ip4 = *IpAddress::parse(ip4);
    out.ip6 = *IpAddress::parse(ip6);
    return out;
}

inline void fill(IdentityTable& table) {
    table.add(endpoint(kWebEp, "01kx3zzt55pw", "web", "10.166.0.1", "fd00::1"), 0);
    table.add(endpoint(kDbEp, "01kx5a0n2k8c", "db", "10.166.0.2", "fd00::2"), 0);
    table.set_rules({{kRule, kPolicy}});
}

inline raind_ip ip(const char* text) {
    raind_ip out{};
    std::memcpy(out.b, IpAddress::parse(text)->bytes().data(), sizeof(out.b));
    return out;
}

// web to db, TCP 8080 over IPv4, first packet of a permitted flow.
inline raind_event allow() {
    raind_event event{};
    event.version = RAIND_EVENT_VERSION;
    event.type = RAIND_EV_NEW;
    event.verdict = RAIND_V_ALLOW;
    event.reason = RAIND_R_POLICY;
    event.length = sizeof(event);
    event.family = 4;
    event.proto = 6;
    event.time = 5'000'000'000;
    event.revision = 3;
    event.src = ip("10.166.0.1");
    event.dst = ip("10.166.0.2");
    event.sport = 40112;
    event.dport = 8080;
    event.flags = RAIND_EVF_EAST_WEST;
    event.rule = kRule;
    event.src_identity = 267;
    event.dst_identity = 268;
    event.src_ep = kWebEp;
    event.dst_ep = kDbEp;
    event.flow_id = 77;
    return event;
}

inline raind_event deny() {
    raind_event event = allow();
    event.type = RAIND_EV_DENY;
    event.verdict = RAIND_V_DENY;
    event.reason = RAIND_R_DEFAULT;
    event.rule = RAIND_RULE_EW_DEFAULT;
    event.flow_id = 0;
    return event;
}

inline raind_event end_of_flow() {
    raind_event event = allow();
    event.type = RAIND_EV_END;
    event.end = RAIND_END_FIN;
    event.started = 4'000'000'000;
    event.packets_fwd = 10;
    event.bytes_fwd = 1000;
    event.packets_rev = 8;
    event.bytes_rev = 900;
    return event;
}

}  // namespace raind::flow::test
