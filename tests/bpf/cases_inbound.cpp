// What host and outside send to a container (raind_to).
#include "tests/bpf/world.h"

namespace raind::testing {

namespace {

void from_host(std::vector<Case>& out, int family) {
    const std::string v = family == 4 ? "v4 " : "v6 ";
    const World open = world(Rules().allow(kWebId, kDbId, 17, 5000, 257));
    const World shut = world(Rules().host_to_container(false));
    const auto syn = [&](const Node& source) {
        return host_frame(source, web(), family).tcp(40000, 80, kSyn).build();
    };
    const auto back = frame(web(), gateway(), family).tcp(80, 40000, kSyn | kAck).build();
    out.push_back(
        {"inbound",
         v + "the host opens a connection and gets its answer",
         open,
         {to(kWeb, "SYN", syn(gateway()),
             allow(Outcome::Pass, RAIND_RULE_HOST_TO_CTR, RAIND_R_DEFAULT)),
          from(kWeb, "SYN-ACK", back, known(Outcome::ToHost)),
          to(kWeb, "ACK", host_frame(gateway(), web(), family).tcp(40000, 80, kAck).build(),
             known(Outcome::Pass)),
          from(kWeb, "SYN back", frame(web(), gateway(), family).tcp(80, 40000, kSyn).build(),
               reset(RAIND_R_DEFAULT, RAIND_RULE_CTR_TO_HOST))}});
    out.push_back({"inbound",
                   v + "the host without the predefined permission",
                   shut,
                   {to(kWeb, "SYN", syn(gateway()),
                       drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_HOST_TO_CTR))}});
    out.push_back(
        {"inbound",
         v + "data of the host without a flow",
         open,
         {to(kWeb, "ACK", host_frame(gateway(), web(), family).tcp(40000, 80, kAck).build(),
             drop(RAIND_R_NOT_FIRST))}});
    out.push_back({"inbound",
                   v + "a host address that came in by another interface",
                   open,
                   {forwarded(to(kWeb, "SYN", syn(gateway()), drop(RAIND_R_SPOOF))),
                    forwarded(to(kWeb, "SYN", syn(host()), drop(RAIND_R_SPOOF)))}});
}

void from_outside(std::vector<Case>& out, int family) {
    const std::string v = family == 4 ? "v4 " : "v6 ";
    const World open = world(Rules().allow(kWebId, kDbId, 17, 5000, 257));
    const auto syn = [&](const Node& source) {
        return host_frame(source, web(), family).tcp(40000, 80, kSyn).build();
    };
    out.push_back({"inbound",
                   v + "the outside is denied",
                   open,
                   {forwarded(to(kWeb, "SYN", syn(outside()),
                                 drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_NS_ENFORCE)))}});
    const World rule = world(Rules().allow(RAIND_ID_WORLD, kWebId, 6, 80, 310));
    out.push_back({"inbound",
                   v + "the outside with a rule",
                   rule,
                   {forwarded(to(kWeb, "SYN", syn(outside()), allow(Outcome::Pass, 310)))}});
    const World stamped =
        world(Rules().allow(RAIND_ID_WORLD, kWebId, 6, 80, 311).flags(RAIND_POL_PUBLISHED));
    out.push_back({"inbound",
                   v + "a rule for published ports needs the stamp",
                   stamped,
                   {forwarded(to(kWeb, "SYN", syn(outside()),
                                 drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_NS_ENFORCE)))}});
    out.push_back({"inbound",
                   v + "and passes with it",
                   stamped,
                   {forwarded(to(kWeb, "SYN", syn(outside()), allow(Outcome::Pass, 311),
                                 RAIND_STAMP_PUBLISHED))}});
    out.push_back({"inbound",
                   v + "masqueraded by other software, published",
                   stamped,
                   {forwarded(to(kWeb, "SYN", syn(host()), allow(Outcome::Pass, 311),
                                 RAIND_STAMP_PUBLISHED))}});
    const Bytes question = frame(web(), outside(), family).udp(40000, 5000).payload(8).build();
    const auto answer = [&](std::uint16_t port) {
        return host_frame(outside(), web(), family).udp(port, 40000).payload(8).build();
    };
    out.push_back({"inbound",
                   v + "the outside answers",
                   open,
                   {from(kWeb, "question", question,
                         allow(Outcome::ToHost, RAIND_RULE_NS_OBSERVE, RAIND_R_DEFAULT)),
                    forwarded(to(kWeb, "answer", answer(5000), known(Outcome::Pass))),
                    forwarded(to(kWeb, "from another port", answer(5001),
                                 drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_NS_ENFORCE)))}});
    out.push_back(
        {"inbound",
         v + "ICMP errors of the outside",
         open,
         {forwarded(
             to(kWeb, "error",
                host_frame(outside(), web(), family).icmp(family == 4 ? 3 : 1).payload(48).build(),
                drop(RAIND_R_ICMP_ERROR)))}});
}

// The flow of the real sender is there all the time.
Expected forged(std::uint32_t event) {
    Expected out = drop(RAIND_R_UNSTAMPED, event);
    out.flow = true;
    return out;
}

void containers(std::vector<Case>& out, int family) {
    const std::string v = family == 4 ? "v4 " : "v6 ";
    const World w = world(Rules().allow(kSlowId, kWebId, 17, 5000, 312));
    const Bytes sent = frame(slow(), web(), family).udp(40000, 5000).payload(8).build();
    const Bytes routed = host_frame(slow(), web(), family).udp(40000, 5000).payload(8).build();
    out.push_back({"inbound",
                   v + "another container through the host",
                   w,
                   {from(kSlow, "sent", sent, allow(Outcome::ToHost, 312)),
                    to(kWeb, "arrives", routed, known(Outcome::Pass), RAIND_STAMP_FROM_PORT)}});
    out.push_back({"inbound",
                   v + "a container's address without the stamp",
                   w,
                   {from(kSlow, "sent", sent, allow(Outcome::ToHost, 312)),
                    to(kWeb, "forged", routed, forged(RAIND_EV_DENY)),
                    forwarded(to(kWeb, "forged", routed, forged(0)))}});
    out.push_back(
        {"inbound",
         v + "stamped, but denied",
         world(Rules()),
         {to(kWeb, "arrives", routed, drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT),
             RAIND_STAMP_FROM_PORT)}});
}

void frames(std::vector<Case>& out) {
    const World w = world(Rules());
    const auto one = [&](const char* name, const Bytes& packet, Expected expected) {
        out.push_back({"inbound", name, w, {to(kWeb, name, packet, expected)}});
    };
    const auto datagram = [](const Node& a, const Node& b, int family) {
        return host_frame(a, b, family).udp(40000, 5000).payload(8);
    };
    one("another MAC", datagram(gateway(), web(), 4).eth(gateway().mac, db().mac).build(),
        drop(RAIND_R_NOT_MINE));
    one("broadcast MAC",
        datagram(gateway(), web(), 4).eth(gateway().mac, mac("ff:ff:ff:ff:ff:ff")).build(),
        drop(RAIND_R_QUIET, 0));
    one("multicast MAC",
        datagram(gateway(), web(), 4).eth(gateway().mac, mac("01:00:5e:00:00:01")).build(),
        drop(RAIND_R_QUIET, 0));
    one("another address", datagram(gateway(), db(), 4).eth(gateway().mac, web().mac).build(),
        drop(RAIND_R_NOT_MINE));
    one("another address, v6", datagram(gateway(), db(), 6).eth(gateway().mac, web().mac).build(),
        drop(RAIND_R_NOT_MINE));
    one("options", datagram(gateway(), web(), 4).options(4).build(), drop(RAIND_R_IP_OPTIONS));
    one("fragment", datagram(gateway(), web(), 4).fragment(0, true).build(),
        drop(RAIND_R_FRAGMENT));
    one("tag", datagram(gateway(), web(), 4).vlan().build(), drop(RAIND_R_VLAN));
    one("a source in the pool", datagram(gateway(), web(), 4).from(ip("10.166.0.88")).build(),
        drop(RAIND_R_SPECIAL));
    one("a loopback source", datagram(gateway(), web(), 4).from(ip("127.0.0.1")).build(),
        drop(RAIND_R_SPECIAL));
    one("a mapped source in IPv6",
        datagram(gateway(), web(), 6).version(6).from(ip("10.166.0.254")).build(),
        drop(RAIND_R_SPECIAL));
    one("ARP of the gateway",
        PacketBuilder()
            .eth(gateway().mac, web().mac)
            .arp(1, gateway().mac, gateway().ip4, MacAddress{}, web().ip4),
        passed(RAIND_R_NEIGHBOUR));
    one("ARP of another MAC",
        PacketBuilder()
            .eth(db().mac, web().mac)
            .arp(1, db().mac, gateway().ip4, MacAddress{}, web().ip4),
        drop(RAIND_R_SPOOF));
    const auto nd = [](std::uint8_t type, const IpAddress& source, const MacAddress& from) {
        return PacketBuilder()
            .eth(from, mac("33:33:ff:00:00:01"))
            .from(source)
            .to(ip("ff02::1:ff00:1"))
            .nd(type, web().ip6, from)
            .build();
    };
    one("neighbour question of the gateway", nd(135, gateway().ip6, gateway().mac),
        passed(RAIND_R_NEIGHBOUR));
    one("neighbour question of another address", nd(135, db().ip6, gateway().mac),
        drop(RAIND_R_NDP));
    one("neighbour question of another MAC", nd(135, gateway().ip6, db().mac), drop(RAIND_R_SPOOF));
    one("router advertisement", nd(134, gateway().ip6, gateway().mac), drop(RAIND_R_NDP));
}

}  // namespace

void add_inbound_cases(std::vector<Case>& out) {
    for (const int family : {4, 6}) {
        from_host(out, family);
        from_outside(out, family);
        containers(out, family);
    }
    frames(out);
}

}  // namespace raind::testing
