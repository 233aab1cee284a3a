#include "userspace/netfilter/rules.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "userspace/common/ifname.h"
#include "userspace/netfilter/rules_ports.h"

namespace raind::netfilter {
namespace {

// Before conntrack (-200) and raw (-300), behind the reassembly of fragments (-400).
constexpr int kPriority = -310;
constexpr int kSourceNat = 100;

std::string set_text(std::string_view name, std::string_view type,
                     const std::vector<std::string>& elements) {
    std::string text = fmt::format("    set {} {{\n        type {}\n", name, type);
    if (type != "ifname")
        text += "        flags interval\n        auto-merge\n";
    if (!elements.empty())
        text += fmt::format("        elements = {{ {} }}\n", fmt::join(elements, ", "));
    return text + "    }\n";
}

std::string sets_text(const GuardSpec& spec) {
    std::vector<std::string> bridges;
    std::vector<std::string> pools4;
    std::vector<std::string> pools6;
    for (const auto& bridge : spec.bridges)
        bridges.push_back(fmt::format("\"{}\"", bridge));
    for (const auto& pool : spec.pools)
        (pool.is_v4() ? pools4 : pools6).push_back(pool.to_string());
    return set_text("bridges", "ifname", bridges) + set_text("pools4", "ipv4_addr", pools4) +
           set_text("pools6", "ipv6_addr", pools6);
}

std::string counters_text(const std::vector<GuardCounter>& counters) {
    std::string text;
    for (const auto& name : counter_names()) {
        const auto known = std::ranges::find(counters, name, &GuardCounter::name);
        const auto packets = known == counters.end() ? 0 : known->packets;
        const auto bytes = known == counters.end() ? 0 : known->bytes;
        text += fmt::format("    counter {} {{\n        packets {} bytes {}\n    }}\n", name,
                            packets, bytes);
    }
    return text;
}

std::string base_chain(std::string_view hook, std::string_view type, int priority,
                       std::string_view rules) {
    return chain_text(hook, type, hook, priority, rules);
}

std::string prerouting_text(const Stamp& stamp) {
    const auto any = stamp.from_port | stamp.dns | stamp.to_host;
    return base_chain("prerouting", "filter", kPriority,
                      fmt::format("        iifname @bridges goto from_bridge\n"
                                  "        iifname \"lo\" accept\n"
                                  // A published port is translated before the kernel looks whether
                                  // a loopback address may come by a wire.
                                  "        ip daddr 127.0.0.0/8 counter name \"loopback\" drop\n"
                                  "        ip saddr 127.0.0.0/8 counter name \"loopback\" drop\n"
                                  "        meta mark set meta mark & {:#010x}\n",
                                  ~stamp.mask())) +
           fmt::format(
               "    chain from_bridge {{\n"
               "        meta mark & {:#010x} == 0 counter name \"unstamped\" drop\n"
               // The bridge routes loopback addresses while a port is published on them; no
               // container is to profit.
               "        ip daddr 127.0.0.0/8 counter name \"loopback\" drop\n"
               "        ip saddr 127.0.0.0/8 counter name \"loopback\" drop\n"
               "    }}\n",
               any);
}

// An address that the host got a second ago, a broadcast or an anycast address opens nothing: what
// the programs did not permit to the host does not come in.
std::string input_text(const Stamp& stamp) {
    return base_chain("input", "filter", kPriority,
                      fmt::format("        iifname @bridges meta mark & {:#010x} == 0 "
                                  "counter name \"not_for_host\" drop\n",
                                  stamp.to_host | stamp.dns));
}

// Sources are judged here and not in prerouting, where the host's own looped multicast and
// broadcast would be dropped too.
std::string forward_text(const GuardSpec& spec) {
    std::string rules = fmt::format(
        "        iifname @bridges meta mark & {:#010x} == 0 "
        "counter name \"not_for_outside\" drop\n"
        "        iifname != @bridges oifname @bridges jump to_bridge\n",
        spec.stamp.from_port);
    if (spec.foreign == ForeignForwarding::Dropped)
        rules += "        iifname != @bridges oifname != @bridges counter name \"foreign\" drop\n";
    rules += stamp_published_text(spec.ports, spec.stamp);
    return "    chain to_bridge {\n"
           "        fib saddr type local counter name \"spoofed\" drop\n"
           "        ip saddr @pools4 counter name \"spoofed\" drop\n"
           "        ip6 saddr @pools6 counter name \"spoofed\" drop\n"
           "    }\n" +
           base_chain("forward", "filter", kPriority, rules);
}

// Traffic between containers of one bridge is routed by the host; a redirect would tell the sender
// to leave the router out. The IPv4 switch counts only together with conf/all, IPv6 has none.
std::string output_text() {
    return base_chain(
        "output", "filter", kPriority,
        "        oifname @bridges icmp type redirect counter name \"redirects\" drop\n"
        "        oifname @bridges icmpv6 type nd-redirect "
        "counter name \"redirects\" drop\n");
}

std::string postrouting_text() {
    return base_chain(
        "postrouting", "nat", kSourceNat,
        // A process of the host that uses 127.0.0.1 and a published port.
        "        oifname @bridges ip saddr 127.0.0.0/8 ct status dnat masquerade\n"
        "        oifname @bridges return\n"
        "        oifname \"lo\" return\n"
        "        ip saddr @pools4 ip daddr != @pools4 counter name \"masqueraded\" masquerade\n"
        "        ip6 saddr @pools6 ip6 daddr != @pools6 counter name \"masqueraded\" masquerade\n");
}

}  // namespace

std::vector<std::string> counter_names() {
    return {"unstamped", "not_for_host", "not_for_outside", "spoofed",  "foreign",
            "redirects", "masqueraded",  "loopback",        "published"};
}

std::string table_name(std::string_view instance) {
    return instance.empty() ? "raind_guard" : fmt::format("raind_guard_{}", instance);
}

Status check_guard(const GuardSpec& spec) {
    const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    if (spec.instance.size() > 32 || !std::ranges::all_of(spec.instance, good))
        return Error(Errc::InvalidArgument, "the name of an instance has letters and digits only");
    for (const auto& bridge : spec.bridges)
        RAIND_CHECK(check_interface_name(bridge));
    const auto& stamp = spec.stamp;
    std::uint32_t sum = 0;
    RAIND_CHECK(check_ports(spec.ports));
    for (const auto bit : {stamp.from_port, stamp.published, stamp.dns, stamp.to_host}) {
        if (bit == 0 || (bit & (bit - 1)) != 0 || (sum & bit) != 0)
            return Error(Errc::InvalidArgument, "a stamp is four different bits");
        sum |= bit;
    }
    return {};
}

Result<std::string> replace_commands(const GuardSpec& spec,
                                     const std::vector<GuardCounter>& counters) {
    RAIND_CHECK(check_guard(spec));
    const std::string parts[] = {counters_text(counters),
                                 sets_text(spec),
                                 port_sets_text(spec.ports),
                                 prerouting_text(spec.stamp),
                                 input_text(spec.stamp),
                                 forward_text(spec),
                                 output_text(),
                                 postrouting_text(),
                                 port_chains_text(spec.ports, spec.stamp)};
    return fmt::format("{}table inet {} {{\n{}}}\n", remove_commands(spec.instance),
                       table_name(spec.instance), fmt::join(parts, ""));
}

std::string remove_commands(std::string_view instance) {
    const auto name = table_name(instance);
    return fmt::format("add table inet {}\ndelete table inet {}\n", name, name);
}

}  // namespace raind::netfilter
