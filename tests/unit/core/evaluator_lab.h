// Two containers on one bridge, the host and an outside, for tests of the evaluator.
#pragma once

#include <string>
#include <vector>

#include "tests/bpf/packet_builder.h"
#include "userspace/core/compiler.h"
#include "userspace/core/evaluator.h"
#include "userspace/core/policy.h"

namespace raind::testing {

inline core::EndpointSpec lab_endpoint(std::uint32_t n, std::string name) {
    core::EndpointSpec spec;
    spec.ep_id = 10 + n;
    spec.identity = 255 + n;
    spec.name = std::move(name);
    spec.ifindex = 100 + n;
    spec.bridge_ifindex = 50;
    spec.ip4 = ip("10.166.0." + std::to_string(n));
    spec.ip6 = ip("fd00::" + std::to_string(n));
    spec.mac = mac("02:00:00:00:00:0" + std::to_string(n));
    spec.gateway_mac = mac("02:00:00:00:00:fe");
    return spec;
}

struct Lab {
    core::EndpointSpec web = lab_endpoint(1, "web");
    core::EndpointSpec db = lab_endpoint(2, "db");
    core::PolicyState policies;
    core::Evaluator evaluator;
    int count = 0;

    Lab() {
        evaluator.set_endpoint(web);
        evaluator.set_endpoint(db);
        const std::vector<core::HostAddress> host{
            {ip("10.166.0.254"), true}, {ip("fd00::fe"), true}, {ip("192.168.7.7"), false}};
        evaluator.set_host_addresses(host);
        const std::vector<Cidr> pools{Cidr::parse("10.166.0.0/16").value(),
                                      Cidr::parse("fd00::/48").value()};
        evaluator.set_pools(pools);
    }

    // Commits what was added before.
    void commit(bool host_to_container = true) {
        policies = core::commit(policies, [](std::string_view) { return true; }).value();
        const core::IdentityMap names{{"web", 256}, {"db", 257}};
        evaluator.commit(core::compile(policies, names, host_to_container).value());
    }
    core::RuleId add(const char* chain, const char* source, const char* destination,
                     const char* protocol = "", int dport = 0) {
        core::PolicyRecord policy =
            core::make_policy({chain, source, destination, protocol, dport, ""}).value();
        policy.id = "p" + std::to_string(++count);
        (void)core::stage_add(policies, policy).value();
        commit();
        return policies.policies.back().rule;
    }

    PacketBuilder packet(const core::EndpointSpec& from, const IpAddress& to) const {
        PacketBuilder builder;
        builder.eth(from.mac, from.gateway_mac).from(to.is_v4() ? from.ip4 : from.ip6).to(to);
        return builder;
    }
    core::Judgement send(const core::EndpointSpec& from, const Bytes& frame) {
        return evaluator.judge(
            {.hook = core::Hook::FromContainer, .ifindex = from.ifindex, .frame = frame});
    }
    core::Judgement receive(const core::EndpointSpec& to, const Bytes& frame,
                            std::uint32_t mark = 0, bool forwarded = false) {
        return evaluator.judge({.hook = core::Hook::ToContainer,
                                .ifindex = to.ifindex,
                                .frame = frame,
                                .mark = mark,
                                .forwarded = forwarded});
    }
    core::Judgement tcp(const core::EndpointSpec& from, const IpAddress& to, std::uint16_t sport,
                        std::uint16_t dport, std::uint8_t flags = kSyn) {
        return send(from, packet(from, to).tcp(sport, dport, flags).build());
    }
};

}  // namespace raind::testing
