#include "tests/bpf/world.h"

#include <algorithm>

namespace raind::testing {

namespace {

core::EndpointSpec endpoint(const Node& node, std::uint32_t ep_id, std::uint32_t identity,
                            std::uint32_t ifindex, const char* name, bool fast) {
    core::EndpointSpec out;
    out.ep_id = ep_id;
    out.identity = identity;
    out.container_id = std::string(name) + "00000000";
    out.name = name;
    out.ifindex = ifindex;
    out.bridge_ifindex = 5;
    out.ip4 = node.ip4;
    out.ip6 = node.ip6;
    out.mac = node.mac;
    out.gateway_mac = gateway().mac;
    out.fast_path = fast;
    return out;
}

}  // namespace

Node web() {
    return {mac("02:42:0a:a6:00:01"), ip("10.166.0.1"), ip("fd12:3456:789a::1")};
}
Node db() {
    return {mac("02:42:0a:a6:00:02"), ip("10.166.0.2"), ip("fd12:3456:789a::2")};
}
Node slow() {
    return {mac("02:42:0a:a6:00:03"), ip("10.166.0.3"), ip("fd12:3456:789a::3")};
}
Node gateway() {
    return {mac("02:42:0a:a6:00:fe"), ip("10.166.0.254"), ip("fd12:3456:789a::fe")};
}
Node outside() {
    return {gateway().mac, ip("198.51.100.7"), ip("2001:db8:1::7")};
}
Node host() {
    return {gateway().mac, ip("192.0.2.10"), ip("2001:db8::10")};
}

Rules::Rules(core::NsMode mode) {
    set_.mode = mode;
    for (const std::uint32_t id : {kWebId, kDbId, kSlowId})
        set_.identities.push_back({id, {id, RAIND_ID_CONTAINERS, RAIND_ID_ANY}});
    const auto prefix = [](const char* text) { return *Cidr::parse(text); };
    set_.prefixes.push_back({prefix("198.51.100.0/24"), {kNetClass, RAIND_ID_WORLD, RAIND_ID_ANY}});
    set_.prefixes.push_back(
        {prefix("198.51.100.7/32"), {kHostClass, kNetClass, RAIND_ID_WORLD, RAIND_ID_ANY}});
    set_.prefixes.push_back(
        {prefix("2001:db8:1::/64"), {kNet6Class, RAIND_ID_WORLD, RAIND_ID_ANY}});
    set_.digest.fill(1);
}

Rules& Rules::add(std::uint32_t source, std::uint32_t destination, std::uint8_t proto,
                  std::uint16_t port, std::uint16_t mask, std::uint32_t rule,
                  std::uint32_t priority, core::RuleAction action) {
    const bool any = proto == 0;
    const auto same = [&](const core::CompiledMask& m) {
        return m.port_mask == mask && m.proto_any == any;
    };
    if (std::ranges::none_of(set_.masks, same))
        set_.masks.push_back({mask, any, 0x3f});
    core::CompiledRule out;
    out.source = source;
    out.destination = destination;
    out.port = port;
    out.protocol = proto;
    out.rule = rule;
    const std::uint32_t specific = (mask != 0 ? 16U : 0U) + (any ? 0U : 8U);
    out.precedence =
        RAIND_PRECEDENCE(priority, action == core::RuleAction::Deny, specific << 8 | (rule & 0xff));
    out.action = action;
    set_.rules.push_back(out);
    set_.table.push_back(
        {rule, "policy-" + std::to_string(rule), core::PolicyChain::EastWest, action});
    return *this;
}

Rules& Rules::allow(std::uint32_t source, std::uint32_t destination, std::uint8_t proto,
                    std::uint16_t port, std::uint32_t rule, std::uint32_t priority) {
    return add(source, destination, proto, port, port != 0 ? 0xffff : 0, rule, priority,
               core::RuleAction::Allow);
}
Rules& Rules::deny(std::uint32_t source, std::uint32_t destination, std::uint8_t proto,
                   std::uint16_t port, std::uint32_t rule, std::uint32_t priority) {
    return add(source, destination, proto, port, port != 0 ? 0xffff : 0, rule, priority,
               core::RuleAction::Deny);
}
Rules& Rules::block(std::uint32_t source, std::uint32_t destination, std::uint8_t proto,
                    std::uint16_t port, std::uint16_t mask, std::uint32_t rule) {
    return add(source, destination, proto, port, mask, rule, 100, core::RuleAction::Allow);
}
Rules& Rules::flags(std::uint8_t value) {
    set_.rules.back().flags = value;
    return *this;
}
Rules& Rules::host_to_container(bool allowed) {
    set_.host_to_container = allowed;
    return *this;
}
Rules& Rules::no_identity(std::uint32_t identity) {
    std::erase_if(set_.identities,
                  [&](const core::CompiledIdentity& i) { return i.identity == identity; });
    return *this;
}
core::CompiledSet Rules::done(std::uint64_t revision) const {
    core::CompiledSet out = set_;
    out.revision = revision;
    return out;
}

World world(std::vector<core::CompiledSet> sets) {
    World out;
    out.endpoints = {{endpoint(web(), 101, kWebId, 11, "web", true), 0},
                     {endpoint(db(), 102, kDbId, 12, "db", true), 0},
                     {endpoint(slow(), 103, kSlowId, 13, "slow", false), 0}};
    out.host = {{gateway().ip4, true},       {gateway().ip6, true},
                {host().ip4, false},         {host().ip6, false},
                {ip("10.166.0.255"), false}, {ip("fd12:3456:789a::"), false}};
    out.pools = {*Cidr::parse("10.166.0.0/16"), *Cidr::parse("fd12:3456:789a::/48")};
    out.sets = std::move(sets);
    return out;
}
World world(const Rules& rules) {
    return world(std::vector<core::CompiledSet>{rules.done()});
}

PacketBuilder frame(const Node& from, const Node& to, int family) {
    return PacketBuilder().eth(from.mac, gateway().mac).from(from.of(family)).to(to.of(family));
}
PacketBuilder host_frame(const Node& from, const Node& to, int family) {
    return PacketBuilder().eth(gateway().mac, to.mac).from(from.of(family)).to(to.of(family));
}

Expected drop(std::uint32_t reason, std::uint32_t event, std::uint32_t rule) {
    return {.outcome = Outcome::Drop, .reason = reason, .event = event, .rule = rule};
}
Expected reset(std::uint32_t reason, std::uint32_t rule, std::uint32_t event) {
    return {.outcome = Outcome::Answer, .reason = reason, .event = event, .rule = rule};
}
Expected allow(Outcome outcome, std::uint32_t rule, std::uint32_t reason) {
    return {
        .outcome = outcome, .reason = reason, .event = RAIND_EV_NEW, .rule = rule, .flow = true};
}
Expected known(Outcome outcome) {
    return {.outcome = outcome, .reason = RAIND_R_ESTABLISHED, .event = 0, .rule = 0, .flow = true};
}
Expected answered() {
    return {.outcome = Outcome::Answer, .reason = RAIND_R_ANSWERED};
}
Expected passed(std::uint32_t reason) {
    return {.outcome = Outcome::Pass, .reason = reason};
}

Step from(std::size_t port, std::string name, Bytes packet, Expected expected) {
    return {.name = std::move(name),
            .direction = Direction::FromContainer,
            .port = port,
            .packet = std::move(packet),
            .expected = expected};
}
Step to(std::size_t port, std::string name, Bytes packet, Expected expected, std::uint32_t mark) {
    return {.name = std::move(name),
            .direction = Direction::ToContainer,
            .port = port,
            .packet = std::move(packet),
            .expected = expected,
            .mark = mark};
}
Step after(Step step, Before before, std::uint64_t number) {
    step.before = before;
    step.number = number;
    return step;
}
Step forwarded(Step step) {
    step.forwarded = true;
    return step;
}
Case single(std::string group, std::string name, const World& w, Bytes packet, Expected expected) {
    Case out{std::move(group), std::move(name), w, {}};
    out.steps.push_back(from(kWeb, out.name, std::move(packet), expected));
    return out;
}

std::vector<Case> all_cases() {
    std::vector<Case> out;
    add_transport_cases(out);
    add_icmp_cases(out);
    add_link_cases(out);
    add_header_cases(out);
    add_address_cases(out);
    add_policy_cases(out);
    add_flow_cases(out);
    add_inbound_cases(out);
    add_published_cases(out);
    return out;
}

}  // namespace raind::testing
