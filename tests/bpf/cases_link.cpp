// ARP, NDP, tags, EtherTypes, source MAC.
#include <fmt/format.h>

#include "tests/bpf/world.h"

namespace raind::testing {

namespace {

const MacAddress kNoMac{};
const MacAddress kBroadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
const Node kForeign = {mac("02:42:0a:a6:00:99"), ip("10.166.0.99"), ip("fd12:3456:789a::99")};

Bytes arp(std::uint16_t op, const MacAddress& sender_mac, const IpAddress& sender,
          const MacAddress& target_mac, const IpAddress& target,
          const MacAddress& to = gateway().mac) {
    return PacketBuilder().eth(web().mac, to).arp(op, sender_mac, sender, target_mac, target);
}

void arp_cases(std::vector<Case>& out) {
    const World w = world(Rules());
    const auto ask = [](const IpAddress& target) {
        return arp(1, web().mac, web().ip4, kNoMac, target, kBroadcast);
    };
    out.push_back(single("arp", "question for the gateway", w, ask(gateway().ip4), answered()));
    out.push_back(single("arp", "question for another container", w, ask(db().ip4), answered()));
    out.push_back(single("arp", "probe", w, arp(1, web().mac, IpAddress(), kNoMac, web().ip4),
                         drop(RAIND_R_QUIET, 0)));
    out.push_back(single("arp", "gratuitous question", w, ask(web().ip4), drop(RAIND_R_QUIET, 0)));
    out.push_back(single("arp", "gratuitous reply", w,
                         arp(2, web().mac, web().ip4, kBroadcast, web().ip4, kBroadcast),
                         drop(RAIND_R_QUIET, 0)));
    out.push_back(single("arp", "question in another's name", w,
                         arp(1, web().mac, db().ip4, kNoMac, gateway().ip4, kBroadcast),
                         drop(RAIND_R_ARP)));
    out.push_back(single("arp", "question with another's MAC inside", w,
                         arp(1, db().mac, web().ip4, kNoMac, gateway().ip4, kBroadcast),
                         drop(RAIND_R_ARP)));
    out.push_back(single("arp", "claim to be the gateway", w,
                         arp(2, web().mac, gateway().ip4, db().mac, db().ip4), drop(RAIND_R_ARP)));
    out.push_back(single("arp", "reply to the gateway", w,
                         arp(2, web().mac, web().ip4, gateway().mac, gateway().ip4),
                         passed(RAIND_R_NEIGHBOUR)));
    out.push_back(single("arp", "reply to another container", w,
                         arp(2, web().mac, web().ip4, db().mac, db().ip4, db().mac),
                         drop(RAIND_R_ARP)));
    out.push_back(single("arp", "unknown operation", w,
                         arp(3, web().mac, web().ip4, kNoMac, gateway().ip4), drop(RAIND_R_ARP)));
    Bytes cut = ask(gateway().ip4);
    cut.resize(cut.size() - 1);
    out.push_back(single("arp", "cut", w, cut, drop(RAIND_R_ARP)));
    Bytes hardware = ask(gateway().ip4);
    hardware[15] = 6;
    out.push_back(single("arp", "another hardware type", w, hardware, drop(RAIND_R_ARP)));
}

PacketBuilder nd(std::uint8_t type, const IpAddress& source, const IpAddress& destination,
                 const IpAddress& target, const MacAddress& link = web().mac) {
    return PacketBuilder()
        .eth(web().mac, gateway().mac)
        .from(source)
        .to(destination)
        .nd(type, target, link);
}

void nd_cases(std::vector<Case>& out) {
    const World w = world(Rules());
    const IpAddress solicited = ip("ff02::1:ff00:fe");
    const IpAddress all = ip("ff02::1");
    const IpAddress own = web().ip6;
    const auto add = [&](const char* name, const PacketBuilder& packet, Expected expected) {
        out.push_back(single("ndp", name, w, packet.build(), expected));
    };
    add("question for the gateway", nd(135, own, solicited, gateway().ip6), answered());
    add("question for another container", nd(135, own, solicited, db().ip6), answered());
    add("question by link-local source", nd(135, ip("fe80::1"), solicited, gateway().ip6),
        answered());
    add("question in another's name", nd(135, db().ip6, solicited, gateway().ip6),
        drop(RAIND_R_SRC_IP));
    add("duplicate detection of the own address", nd(135, ip("::"), solicited, own),
        drop(RAIND_R_QUIET, 0));
    add("duplicate detection of another's address", nd(135, ip("::"), solicited, db().ip6),
        drop(RAIND_R_QUIET, 0));
    add("question for a multicast address", nd(135, own, solicited, all), drop(RAIND_R_NDP));
    add("hop limit 254", nd(135, own, solicited, gateway().ip6).hop_limit(254), drop(RAIND_R_NDP));
    add("behind an extension header", nd(135, own, solicited, gateway().ip6).extensions({60}),
        drop(RAIND_R_NDP));
    add("advertisement to the gateway", nd(136, own, gateway().ip6, own),
        passed(RAIND_R_NEIGHBOUR));
    add("advertisement to all nodes", nd(136, own, all, own), drop(RAIND_R_NDP));
    add("advertisement to another container", nd(136, own, db().ip6, own), drop(RAIND_R_NDP));
    add("advertisement of another's address", nd(136, own, gateway().ip6, db().ip6),
        drop(RAIND_R_NDP));
    add("advertisement in another's name", nd(136, db().ip6, gateway().ip6, db().ip6),
        drop(RAIND_R_SRC_IP));
    add("advertisement of another's MAC", nd(136, own, gateway().ip6, own, db().mac),
        drop(RAIND_R_NDP));
    add("router solicitation", nd(133, own, ip("ff02::2"), own), drop(RAIND_R_NDP, 0));
    add("router advertisement", nd(134, own, all, own), drop(RAIND_R_NDP));
    add("redirect", nd(137, own, db().ip6, gateway().ip6), drop(RAIND_R_NDP));
}

void tag_cases(std::vector<Case>& out) {
    const World w = world(Rules().allow(kWebId, kDbId, 6, 8080, 256));
    for (const std::uint16_t tag : std::initializer_list<std::uint16_t>{0x8100, 0x88a8, 0x9100})
        out.push_back(single("vlan", fmt::format("tag {:#06x}", tag), w,
                             frame(web(), db(), 4).tcp(40000, 8080, kSyn).vlan(tag).build(),
                             drop(RAIND_R_VLAN)));
    for (const std::uint16_t type :
         std::initializer_list<std::uint16_t>{0x0026, 0x8847, 0x88cc, 0x8864, 0x22f0, 0xffff})
        out.push_back(single(
            "ethertype", fmt::format("type {:#06x}", type), w,
            PacketBuilder().eth(web().mac, gateway().mac).ethertype(type).raw(Bytes(46, 0x42)),
            drop(RAIND_R_ETHERTYPE)));
    out.push_back(single("ethertype", "IPv6 in a frame that says IPv4", w,
                         frame(web(), db(), 6).ethertype(0x0800).tcp(40000, 8080, kSyn).build(),
                         drop(RAIND_R_IP_HEADER)));
    for (const int family : {4, 6}) {
        out.push_back(single(
            "spoof",
            family == 4 ? "v4 source MAC of another container"
                        : "v6 source MAC of another container",
            w,
            frame(web(), db(), family).eth(db().mac, gateway().mac).tcp(40000, 8080, kSyn).build(),
            drop(RAIND_R_SRC_MAC)));
        out.push_back(single(
            "spoof",
            family == 4 ? "v4 the destination MAC does not matter"
                        : "v6 the destination MAC does not matter",
            w,
            frame(web(), db(), family).eth(web().mac, kForeign.mac).tcp(40000, 8080, kSyn).build(),
            allow(Outcome::Deliver, 256)));
    }
    out.push_back(single("spoof", "ARP with another source MAC", w,
                         PacketBuilder()
                             .eth(kForeign.mac, kBroadcast)
                             .arp(1, web().mac, web().ip4, kNoMac, gateway().ip4),
                         drop(RAIND_R_SRC_MAC)));
}

}  // namespace

void add_link_cases(std::vector<Case>& out) {
    arp_cases(out);
    nd_cases(out);
    tag_cases(out);
}

}  // namespace raind::testing
