// ICMP and ICMPv6: requests, replies, errors, the gateway's echo.
#include "tests/bpf/world.h"

namespace raind::testing {

namespace {

void echo(std::vector<Case>& out, int family) {
    const std::string group = family == 4 ? "icmp" : "icmpv6";
    const std::uint8_t request = family == 4 ? 8 : 128;
    const std::uint8_t reply = family == 4 ? 0 : 129;
    const std::uint8_t proto = family == 4 ? 1 : 58;
    const World w = world(Rules().allow(kWebId, kDbId, proto, 0, 262));
    const World none = world(Rules());
    const auto icmp = [&](const Node& a, const Node& b, std::uint8_t type, std::uint16_t id = 7) {
        return frame(a, b, family).icmp(type, 0, id).payload(16).build();
    };
    out.push_back({group,
                   "echo and its reply",
                   w,
                   {from(kWeb, "request", icmp(web(), db(), request), allow(Outcome::Deliver, 262)),
                    from(kDb, "reply", icmp(db(), web(), reply), known(Outcome::Deliver)),
                    from(kDb, "reply with another identifier", icmp(db(), web(), reply, 8),
                         drop(RAIND_R_NOT_FIRST))}});
    out.push_back({group,
                   "a request in reply direction needs its own permission",
                   w,
                   {from(kWeb, "request", icmp(web(), db(), request), allow(Outcome::Deliver, 262)),
                    from(kDb, "request back", icmp(db(), web(), request),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT)),
                    from(kDb, "reply", icmp(db(), web(), reply), known(Outcome::Deliver))}});
    for (const std::uint16_t id : std::initializer_list<std::uint16_t>{0, 0x2a00})
        out.push_back(
            {group,
             "a flow of identifier " + std::to_string(id) + " lets no request back",
             w,
             {from(kWeb, "request", icmp(web(), db(), request, id), allow(Outcome::Deliver, 262)),
              from(kWeb, "what has no reply, same number",
                   frame(web(), db(), family).icmp(200, 0, id).payload(16).build(),
                   allow(Outcome::Deliver, 262)),
              from(kDb, "request back", icmp(db(), web(), request, id),
                   drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT)),
              from(kDb, "what has no reply, back",
                   frame(db(), web(), family).icmp(200, 0, id).payload(16).build(),
                   drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT)),
              from(kWeb, "reply by the opener", icmp(web(), db(), reply, id),
                   drop(RAIND_R_NOT_FIRST)),
              from(kDb, "reply", icmp(db(), web(), reply, id), known(Outcome::Deliver))}});
    out.push_back(
        {group,
         "a type that looks like an identifier",
         w,
         {from(kWeb, "type 42", frame(web(), db(), family).icmp(42, 0, 1).payload(16).build(),
               allow(Outcome::Deliver, 262)),
          from(kDb, "request back", icmp(db(), web(), request, 0x2a00),
               drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT))}});
    out.push_back(single(group, "echo without a rule", none, icmp(web(), db(), request),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT)));
    out.push_back(single(group, "reply without a request", w, icmp(web(), db(), reply),
                         drop(RAIND_R_NOT_FIRST)));
    out.push_back(
        {group,
         "echo to the gateway is predefined, once",
         none,
         {from(kWeb, "request", icmp(web(), gateway(), request),
               allow(Outcome::ToHost, RAIND_RULE_GW_ECHO, RAIND_R_DEFAULT)),
          to(kWeb, "reply", host_frame(gateway(), web(), family).icmp(reply).payload(16).build(),
             known(Outcome::Pass))}});
    out.push_back(single(group, "echo to another host address", none, icmp(web(), host(), request),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_CTR_TO_HOST)));
    out.push_back(single(group, "header cut", w,
                         frame(web(), db(), family).icmp(request).cut(1).build(),
                         drop(RAIND_R_SHORT)));
    for (const std::uint8_t type : family == 4 ? std::vector<std::uint8_t>{3, 4, 5, 11, 12}
                                               : std::vector<std::uint8_t>{1, 2, 3, 4})
        out.push_back(single(group, "error type " + std::to_string(type), w,
                             frame(web(), db(), family).icmp(type).payload(48).build(),
                             drop(RAIND_R_ICMP_ERROR)));
}

}  // namespace

void add_icmp_cases(std::vector<Case>& out) {
    echo(out, 4);
    echo(out, 6);
    const World w = world(Rules().allow(kWebId, kDbId, 1, 13 * 256, 263));
    out.push_back(single("icmp", "timestamp with a rule for its type", w,
                         frame(web(), db(), 4).icmp(13).payload(12).build(),
                         allow(Outcome::Deliver, 263)));
    out.push_back(single("icmp", "echo with a rule for another type", w,
                         frame(web(), db(), 4).icmp(8).payload(12).build(),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT)));
    out.push_back(single("icmp", "timestamp to the gateway", w,
                         frame(web(), gateway(), 4).icmp(13).payload(12).build(),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_CTR_TO_HOST)));
    const auto to_gateway = [](std::uint8_t type, std::uint8_t code) {
        return frame(web(), gateway(), 4).icmp(type, code, 77).payload(12).build();
    };
    out.push_back({"icmp",
                   "an echo to the gateway opens nothing but itself",
                   world(Rules()),
                   {from(kWeb, "echo", to_gateway(8, 0),
                         allow(Outcome::ToHost, RAIND_RULE_GW_ECHO, RAIND_R_DEFAULT)),
                    from(kWeb, "timestamp, same identifier", to_gateway(13, 0),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_CTR_TO_HOST)),
                    from(kWeb, "echo of another code", to_gateway(8, 5),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_CTR_TO_HOST))}});
    out.push_back(single("icmp", "ICMPv6 in IPv4", w,
                         frame(web(), db(), 4).proto(58).payload(16).build(),
                         drop(RAIND_R_IP_HEADER)));
    out.push_back(single("icmpv6", "ICMP in IPv6", w,
                         frame(web(), db(), 6).proto(1).payload(16).build(),
                         drop(RAIND_R_EXT_HEADER)));
    for (const std::uint8_t type : std::initializer_list<std::uint8_t>{130, 131, 132, 143})
        out.push_back(
            single("icmpv6", "listener report " + std::to_string(type), w,
                   frame(web(), db(), 6).to(ip("ff02::16")).icmp(type).payload(16).build(),
                   drop(RAIND_R_QUIET, 0)));
}

}  // namespace raind::testing
