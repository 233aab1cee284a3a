// TCP and UDP: permitted and denied, all flag sets, short and lying headers, reverse directions.
#include <fmt/format.h>

#include "tests/bpf/world.h"

namespace raind::testing {

namespace {

Rules tcp_rules() {
    return Rules().allow(kWebId, kDbId, 6, 8080, 256);
}

Expected flag_set(std::uint8_t flags) {
    const auto has = [&](int set) { return (flags & set) == set; };
    if (flags == 0 || has(kSyn | kFin) || has(kSyn | kRst) || has(kFin | kRst) ||
        (has(kFin | kUrg | kPsh) && !has(kAck)))
        return drop(RAIND_R_TCP_FLAGS);
    if (has(kSyn) && !has(kAck))
        return allow(Outcome::Deliver, 256);
    if (has(kRst))
        return drop(RAIND_R_NOT_FIRST);
    return reset(RAIND_R_NOT_FIRST);
}

void tcp(std::vector<Case>& out, int family) {
    const auto segment = [&](const Node& a, const Node& b, std::uint16_t sport, std::uint16_t dport,
                             std::uint8_t flags) {
        return frame(a, b, family).tcp(sport, dport, flags).build();
    };
    const World w = world(tcp_rules());
    const std::string v = family == 4 ? "v4 " : "v6 ";
    out.push_back(
        {"tcp",
         v + "handshake, data and close of a permitted connection",
         w,
         {from(kWeb, "SYN", segment(web(), db(), 40000, 8080, kSyn), allow(Outcome::Deliver, 256)),
          from(kDb, "SYN-ACK", segment(db(), web(), 8080, 40000, kSyn | kAck),
               known(Outcome::Deliver)),
          from(kWeb, "ACK", segment(web(), db(), 40000, 8080, kAck), known(Outcome::Deliver)),
          from(kWeb, "data", segment(web(), db(), 40000, 8080, kPsh | kAck),
               known(Outcome::Deliver)),
          from(kDb, "FIN", segment(db(), web(), 8080, 40000, kFin | kAck), known(Outcome::Deliver)),
          from(kWeb, "FIN back", segment(web(), db(), 40000, 8080, kFin | kAck),
               known(Outcome::Deliver)),
          from(kDb, "last ACK", segment(db(), web(), 8080, 40000, kAck),
               known(Outcome::Deliver))}});
    out.push_back(single("tcp", v + "another port is reset", w,
                         segment(web(), db(), 40000, 8081, kSyn),
                         reset(RAIND_R_DEFAULT, RAIND_RULE_EW_DEFAULT)));
    out.push_back({"tcp",
                   v + "the reverse direction is reset",
                   w,
                   {from(kDb, "SYN", segment(db(), web(), 40000, 8080, kSyn),
                         reset(RAIND_R_DEFAULT, RAIND_RULE_EW_DEFAULT))}});
    out.push_back(
        {"tcp",
         v + "a reply from another port is no reply",
         w,
         {from(kWeb, "SYN", segment(web(), db(), 40000, 8080, kSyn), allow(Outcome::Deliver, 256)),
          from(kDb, "SYN-ACK", segment(db(), web(), 8081, 40000, kSyn | kAck),
               reset(RAIND_R_NOT_FIRST))}});
    out.push_back(
        {"tcp",
         v + "data, ACK and RST without a flow",
         w,
         {from(kWeb, "data", segment(web(), db(), 40000, 8080, kPsh | kAck),
               reset(RAIND_R_NOT_FIRST)),
          from(kWeb, "SYN-ACK", segment(web(), db(), 40001, 8080, kSyn | kAck),
               reset(RAIND_R_NOT_FIRST, 0, 0)),
          from(kWeb, "RST", segment(web(), db(), 40002, 8080, kRst), drop(RAIND_R_NOT_FIRST, 0))}});
    for (std::uint8_t flags = 0; flags < 64; flags++)
        out.push_back(single("tcp", fmt::format("{}flag set {:#04x}", v, flags), w,
                             segment(web(), db(), 40000, 8080, flags), flag_set(flags)));
    const auto start = [&] { return frame(web(), db(), family); };
    out.push_back(single("tcp", v + "header cut", w, start().tcp(40000, 8080, kSyn).cut(1).build(),
                         drop(RAIND_R_SHORT)));
    out.push_back(single("tcp", v + "data offset below 5", w,
                         start().data_offset(4).tcp(40000, 8080, kSyn).payload(40).build(),
                         drop(RAIND_R_SHORT)));
    out.push_back(single("tcp", v + "data offset beyond the packet", w,
                         start().data_offset(15).tcp(40000, 8080, kSyn).payload(8).build(),
                         drop(RAIND_R_SHORT)));
    out.push_back(single("tcp", v + "options inside the packet pass", w,
                         start().data_offset(6).tcp(40000, 8080, kSyn).payload(4).build(),
                         allow(Outcome::Deliver, 256)));
    out.push_back({"tcp",
                   v + "a receiver off the fast path gets it through the host",
                   w,
                   {from(kSlow, "denied", segment(slow(), db(), 40000, 8080, kSyn),
                         reset(RAIND_R_DEFAULT, RAIND_RULE_EW_DEFAULT))}});
}

void udp(std::vector<Case>& out, int family) {
    const std::string v = family == 4 ? "v4 " : "v6 ";
    const World w = world(Rules()
                              .allow(kWebId, kDbId, 17, 5000, 257)
                              .allow(kWebId, kSlowId, 17, 5000, 258)
                              .allow(kSlowId, kDbId, 17, 5000, 259));
    const auto datagram = [&](const Node& a, const Node& b, std::uint16_t sport,
                              std::uint16_t dport) {
        return frame(a, b, family).udp(sport, dport).payload(10).build();
    };
    out.push_back(
        {"udp",
         v + "question and answer",
         w,
         {from(kWeb, "question", datagram(web(), db(), 40000, 5000), allow(Outcome::Deliver, 257)),
          from(kDb, "answer", datagram(db(), web(), 5000, 40000), known(Outcome::Deliver)),
          from(kDb, "from another port", datagram(db(), web(), 5001, 40000),
               drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT))}});
    out.push_back(single("udp", v + "another port", w, datagram(web(), db(), 40000, 5001),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT)));
    out.push_back(single("udp", v + "another protocol with the same port", w,
                         frame(web(), db(), family).tcp(40000, 5000, kSyn).build(),
                         reset(RAIND_R_DEFAULT, RAIND_RULE_EW_DEFAULT)));
    out.push_back(
        {"udp",
         v + "to and from a port off the fast path",
         w,
         {from(kWeb, "to slow", datagram(web(), slow(), 40000, 5000), allow(Outcome::ToHost, 258)),
          from(kSlow, "from slow", datagram(slow(), db(), 40000, 5000),
               allow(Outcome::ToHost, 259))}});
    out.push_back(single("udp", v + "header cut", w,
                         frame(web(), db(), family).udp(40000, 5000).cut(1).build(),
                         drop(RAIND_R_SHORT)));
    Bytes lying = datagram(web(), db(), 40000, 5000);
    lying[lying.size() - 10 - 4] = 0xff;
    out.push_back(single("udp", v + "length beyond the packet", w, lying, drop(RAIND_R_SHORT)));
    out.push_back(single("udp", v + "a datagram larger than the receiver's MTU", w,
                         frame(web(), db(), family).udp(40000, 5000).payload(1473).build(),
                         family == 4 ? allow(Outcome::ToHost, 257) : allow(Outcome::ToHost, 257)));
}

void others(std::vector<Case>& out) {
    const World w =
        world(Rules().allow(kWebId, kDbId, 132, 3868, 260).allow(kWebId, kSlowId, 0, 0, 261));
    Bytes head;
    PacketBuilder::put16(head, 40000);
    PacketBuilder::put16(head, 3868);
    head.resize(12, 0);
    out.push_back(single("other", "SCTP to the permitted port", w,
                         frame(web(), db(), 4).proto(132).payload(head).build(),
                         allow(Outcome::Deliver, 260)));
    head[3] = 1;
    out.push_back(single("other", "SCTP to another port", w,
                         frame(web(), db(), 4).proto(132).payload(head).build(),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT)));
    out.push_back(single("other", "SCTP header cut", w,
                         frame(web(), db(), 4).proto(132).payload(11).build(),
                         drop(RAIND_R_SHORT)));
    out.push_back(single("other", "GRE needs a rule for any protocol", w,
                         frame(web(), db(), 4).proto(47).payload(20).build(),
                         drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT)));
    out.push_back(single("other", "GRE with such a rule", w,
                         frame(web(), slow(), 4).proto(47).payload(20).build(),
                         allow(Outcome::ToHost, 261)));
}

}  // namespace

void add_transport_cases(std::vector<Case>& out) {
    for (const int family : {4, 6}) {
        tcp(out, family);
        udp(out, family);
    }
    others(out);
}

}  // namespace raind::testing
