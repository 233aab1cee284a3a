// Addresses: spoofed sources, special destinations, the host, the pool, the outside.
#include "tests/bpf/world.h"

namespace raind::testing {

namespace {

void sources(std::vector<Case>& out, const World& w) {
    const auto spoof = [&](const std::string& name, const IpAddress& source, const IpAddress& to) {
        out.push_back(single("spoof", name, w,
                             PacketBuilder()
                                 .eth(web().mac, gateway().mac)
                                 .from(source)
                                 .to(to)
                                 .udp(40000, 5000)
                                 .payload(8)
                                 .build(),
                             drop(RAIND_R_SRC_IP)));
    };
    spoof("v4 source of another container", slow().ip4, db().ip4);
    spoof("v4 source of the gateway", gateway().ip4, db().ip4);
    spoof("v4 source of the host", host().ip4, db().ip4);
    spoof("v4 source outside", outside().ip4, db().ip4);
    spoof("v4 source loopback", ip("127.0.0.1"), db().ip4);
    spoof("v4 source broadcast", ip("255.255.255.255"), db().ip4);
    spoof("v6 source of another container", slow().ip6, db().ip6);
    spoof("v6 source of the gateway", gateway().ip6, db().ip6);
    spoof("v6 source outside", outside().ip6, db().ip6);
    spoof("v6 source link-local", ip("fe80::1"), db().ip6);
    spoof("v6 source loopback", ip("::1"), db().ip6);
    spoof("v6 source unspecified", ip("::"), db().ip6);
    out.push_back(single("spoof", "v6 source is the own IPv4 address, mapped", w,
                         PacketBuilder()
                             .eth(web().mac, gateway().mac)
                             .version(6)
                             .from(web().ip4)
                             .to(db().ip6)
                             .udp(40000, 5000)
                             .payload(8)
                             .build(),
                         drop(RAIND_R_SRC_IP)));
    out.push_back(
        single("spoof", "v4 TCP with another's source is not reset", w,
               frame(slow(), db(), 4).eth(web().mac, gateway().mac).tcp(40000, 8080, kSyn).build(),
               drop(RAIND_R_SRC_IP)));
    out.push_back(single("spoof", "v4 DHCP question", w,
                         PacketBuilder()
                             .eth(web().mac, gateway().mac)
                             .from(ip("0.0.0.0"))
                             .to(ip("255.255.255.255"))
                             .udp(68, 67)
                             .payload(240)
                             .build(),
                         drop(RAIND_R_SRC_IP)));
}

void destinations(std::vector<Case>& out, const World& w) {
    const auto send = [&](const IpAddress& to, int version) {
        return PacketBuilder()
            .eth(web().mac, gateway().mac)
            .version(version)
            .from(version == 6 ? web().ip6 : web().ip4)
            .to(to)
            .udp(40000, 5000)
            .payload(8)
            .build();
    };
    const auto special = [&](const char* text, int version = 0) {
        const IpAddress to = ip(text);
        const int v = version != 0 ? version : (to.is_v4() ? 4 : 6);
        out.push_back(single("special",
                             std::string("to ") + text + (version == 6 ? " in IPv6" : ""), w,
                             send(to, v), drop(RAIND_R_SPECIAL)));
    };
    for (const char* text : {"224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1",
                             "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "10.166.0.77",
                             "10.166.9.1", "ff02::1", "ff05::2", "fe80::1", "febf::1", "::1",
                             "::", "::10.166.0.2", "64:ff9b::0aa6:0002", "fd12:3456:789a::77"})
        special(text);
    special("10.166.0.2", 6);    // ::ffff:10.166.0.2
    special("198.51.100.7", 6);  // ::ffff:198.51.100.7
    const auto to_host = [&](const char* name, const IpAddress& to) {
        out.push_back(single("host", name, w, send(to, to.is_v4() ? 4 : 6),
                             drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_CTR_TO_HOST)));
    };
    to_host("v4 uplink address", host().ip4);
    to_host("v6 uplink address", host().ip6);
    to_host("v4 gateway", gateway().ip4);
    to_host("v6 gateway", gateway().ip6);
    to_host("v4 broadcast of the bridge", ip("10.166.0.255"));
    to_host("v6 anycast of the bridge", ip("fd12:3456:789a::"));
    out.push_back(single("host", "v4 TCP to the host is reset", w,
                         frame(web(), host(), 4).tcp(40000, 22, kSyn).build(),
                         reset(RAIND_R_DEFAULT, RAIND_RULE_CTR_TO_HOST)));
    out.push_back(single("host", "v4 name service of the gateway", w,
                         frame(web(), gateway(), 4).udp(40000, 53).payload(20).build(),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_CTR_TO_HOST)));
    out.push_back(single("host", "v4 DHCP to the gateway", w,
                         frame(web(), gateway(), 4).udp(68, 67).payload(240).build(),
                         drop(RAIND_R_DHCP)));
    out.push_back(single("host", "v4 a rule for any does not open the host",
                         world(Rules().allow(kWebId, RAIND_ID_ANY, 0, 0, 270)), send(host().ip4, 4),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_CTR_TO_HOST)));
    out.push_back({"host",
                   "v4 a rule that names the host opens it, with its stamp",
                   world(Rules().allow(kWebId, RAIND_ID_HOST, 17, 5000, 271)),
                   {from(kWeb, "permitted", send(host().ip4, 4), allow(Outcome::ToHost, 271)),
                    from(kWeb, "the gateway stays shut", send(gateway().ip4, 4),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_CTR_TO_HOST))}});
}

void unknown_parties(std::vector<Case>& out) {
    World nobody = world(Rules());
    nobody.endpoints.clear();
    out.push_back(single("endpoint", "an interface without an endpoint", nobody,
                         frame(web(), db(), 4).udp(40000, 5000).payload(8).build(),
                         drop(RAIND_R_NO_ENDPOINT)));
    World locked = world(Rules().allow(kWebId, kDbId, 0, 0, 272));
    locked.endpoints[kWeb].flags = RAIND_EP_QUARANTINE;
    out.push_back(single("endpoint", "a sender in quarantine", locked,
                         frame(web(), db(), 4).udp(40000, 5000).payload(8).build(),
                         drop(RAIND_R_QUARANTINE)));
    World receiver = world(Rules().allow(kWebId, kDbId, 0, 0, 272));
    receiver.endpoints[kDb].flags = RAIND_EP_QUARANTINE;
    out.push_back(single("endpoint", "a receiver in quarantine", receiver,
                         frame(web(), db(), 4).udp(40000, 5000).payload(8).build(),
                         drop(RAIND_R_QUARANTINE)));
    World silent = world(Rules());
    silent.endpoints[kWeb].flags = RAIND_EP_NO_RESET;
    out.push_back(single("endpoint", "a port without resets", silent,
                         frame(web(), db(), 4).tcp(40000, 8080, kSyn).build(),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT)));
}

}  // namespace

void add_address_cases(std::vector<Case>& out) {
    const World w = world(Rules());
    sources(out, w);
    destinations(out, w);
    unknown_parties(out);
}

}  // namespace raind::testing
