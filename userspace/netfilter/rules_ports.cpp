#include "userspace/netfilter/rules_ports.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iterator>

#include "userspace/core/packet.h"
#include "userspace/netfilter/rules.h"

namespace raind::netfilter {
namespace {

constexpr int kDestinationNat = -100;

// One kind of mapping: a family, and one address of the host or all of them.
struct Kind {
    std::string_view name;  // ends the names of its map and sets
    bool v4;
    bool every;  // address of the host
    std::string_view ip() const { return v4 ? "ip" : "ip6"; }
};
constexpr std::array<Kind, 4> kKinds = {
    {{"4", true, false}, {"6", false, false}, {"_any4", true, true}, {"_any6", false, true}}};
constexpr std::array<std::uint8_t, 2> kProtocols = {core::kProtoTcp, core::kProtoUdp};

using Ports = std::vector<core::PublishedPort>;

std::string_view protocol_text(std::uint8_t protocol) {
    return protocol == core::kProtoUdp ? "udp" : "tcp";
}

Ports of_kind(const Ports& ports, const Kind& kind) {
    Ports out;
    std::ranges::copy_if(ports, std::back_inserter(out), [&](const core::PublishedPort& port) {
        return port.address.is_v4() == kind.v4 && port.address.is_unspecified() == kind.every;
    });
    return out;
}

Ports of_protocol(const Ports& ports, std::uint8_t protocol) {
    Ports out;
    std::ranges::copy_if(ports, std::back_inserter(out), [&](const core::PublishedPort& port) {
        return port.protocol == protocol;
    });
    return out;
}

std::string target_of(const core::PublishedPort& port) {
    return fmt::format("{} . {}", port.target.to_string(), port.target_port);
}

// "ADDRESS . " where the kind has one.
std::string front(const core::PublishedPort& port, const Kind& kind) {
    return kind.every ? std::string() : port.address.to_string() + " . ";
}

std::string elements(const std::vector<std::string>& list) {
    return fmt::format("        elements = {{ {} }}\n", fmt::join(list, ", "));
}

std::string kind_sets_text(const Ports& ports, const Kind& kind) {
    const std::string_view address = kind.v4 ? "ipv4_addr" : "ipv6_addr";
    const std::string key = kind.every ? std::string() : fmt::format("{} . ", address);
    std::vector<std::string> targets;
    for (const auto& port : ports)
        targets.push_back(fmt::format("{}{} . {} : {}", front(port, kind),
                                      protocol_text(port.protocol), port.port, target_of(port)));
    std::string text = fmt::format(
        "    map port{} {{\n        type {}inet_proto . inet_service : {} . inet_service\n{}    }}\n",
        kind.name, key, address, elements(targets));
    for (const std::uint8_t protocol : kProtocols) {
        std::vector<std::string> mappings;
        for (const auto& port : of_protocol(ports, protocol))
            mappings.push_back(
                fmt::format("{}{} . {}", front(port, kind), port.port, target_of(port)));
        if (!mappings.empty())
            text += fmt::format(
                "    set {}{} {{\n        type {}inet_service . {} . inet_service\n{}    }}\n",
                protocol_text(protocol), kind.name, key, address, elements(mappings));
    }
    return text;
}

}  // namespace

std::string chain_text(std::string_view name, std::string_view type, std::string_view hook,
                       int priority, std::string_view rules) {
    return fmt::format(
        "    chain {} {{\n        type {} hook {} priority {}; policy accept;\n{}    }}\n", name,
        type, hook, priority, rules);
}

Status check_ports(const Ports& ports) {
    for (const auto& port : ports) {
        const bool known = port.protocol == core::kProtoTcp || port.protocol == core::kProtoUdp;
        if (!known || port.port == 0 || port.target_port == 0 || port.target.is_unspecified() ||
            port.target.is_v4() != port.address.is_v4())
            return Error(Errc::InvalidArgument, "not a published port");
    }
    return {};
}

std::string port_sets_text(const Ports& ports) {
    std::string text;
    for (const Kind& kind : kKinds)
        if (const Ports some = of_kind(ports, kind); !some.empty())
            text += kind_sets_text(some, kind);
    return text;
}

std::string stamp_published_text(const Ports& ports, const Stamp& stamp) {
    std::string text;
    for (const Kind& kind : kKinds) {
        const std::string original =
            kind.every ? std::string() : fmt::format("ct original {} daddr . ", kind.ip());
        for (const std::uint8_t protocol : kProtocols) {
            if (of_protocol(of_kind(ports, kind), protocol).empty())
                continue;
            const std::string_view name = protocol_text(protocol);
            text += fmt::format(
                "        iifname != @bridges oifname @bridges ct direction original ct status dnat "
                "meta l4proto {0} {1}ct original proto-dst . {2} daddr . {0} dport @{0}{3} "
                "counter name \"published\" meta mark set meta mark | {4:#010x}\n",
                name, original, kind.ip(), kind.name, stamp.published);
        }
    }
    return text;
}

// A connection to ::1 or a link-local address is left alone: its source could not be routed to a
// container.
std::string port_chains_text(const Ports& ports, const Stamp& stamp) {
    if (ports.empty())
        return {};
    std::string rules =
        "        fib daddr type != local return\n        ip6 daddr { ::1, fe80::/10 } return\n";
    for (const Kind& kind : kKinds) {
        if (of_kind(ports, kind).empty())
            continue;
        const std::string family = fmt::format("meta nfproto {} ", kind.v4 ? "ipv4" : "ipv6");
        const std::string address = kind.every ? "" : fmt::format("{} daddr . ", kind.ip());
        rules += fmt::format("        {}dnat {} to {}meta l4proto . th dport map @port{}\n",
                             kind.every ? family : "", kind.ip(), address, kind.name);
    }
    return fmt::format("    chain publish {{\n{}    }}\n", rules) +
           chain_text("dnat_in", "nat", "prerouting", kDestinationNat,
                      fmt::format("        iifname @bridges meta mark & {:#010x} == 0 return\n"
                                  "        jump publish\n",
                                  stamp.from_port)) +
           chain_text("dnat_out", "nat", "output", kDestinationNat, "        jump publish\n");
}

}  // namespace raind::netfilter
