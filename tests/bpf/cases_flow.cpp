// Flows over time: life, reuse, commits, restarts, quotas, a full table.
#include "tests/bpf/world.h"

namespace raind::testing {

namespace {

constexpr std::uint16_t kPort = 8080;
constexpr std::uint64_t kSecond = 1000;

Bytes out_tcp(std::uint8_t flags, std::uint16_t sport = 40000) {
    return frame(web(), db(), 4).tcp(sport, kPort, flags).build();
}
Bytes back_tcp(std::uint8_t flags, std::uint16_t sport = 40000) {
    return frame(db(), web(), 4).tcp(kPort, sport, flags).build();
}
Bytes out_udp(std::uint16_t sport = 40000) {
    return frame(web(), db(), 4).udp(sport, 5000).payload(8).build();
}
Bytes back_udp() {
    return frame(db(), web(), 4).udp(5000, 40000).payload(8).build();
}

Rules both() {
    return Rules().allow(kWebId, kDbId, 6, kPort, 256).allow(kWebId, kDbId, 17, 5000, 257);
}

Step syn() {
    return from(kWeb, "SYN", out_tcp(kSyn), allow(Outcome::Deliver, 256));
}
Step syn_ack() {
    return from(kDb, "SYN-ACK", back_tcp(kSyn | kAck), known(Outcome::Deliver));
}
Step ack() {
    return from(kWeb, "ACK", out_tcp(kAck), known(Outcome::Deliver));
}

void lives(std::vector<Case>& out) {
    const World w = world(both());
    const Step first = from(kWeb, "first", out_udp(), allow(Outcome::Deliver, 257));
    const Step again = from(kWeb, "again", out_udp(), known(Outcome::Deliver));
    const Step answer = from(kDb, "answer", back_udp(), known(Outcome::Deliver));
    const Step late = from(kDb, "late answer", back_udp(),
                           drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT));
    out.push_back({"life",
                   "UDP without an answer lives 30 s",
                   w,
                   {first, after(again, Before::Age, 29 * kSecond),
                    after(first, Before::Age, 31 * kSecond)}});
    out.push_back({"life",
                   "an expired entry answers no reply",
                   w,
                   {first, after(late, Before::Age, 31 * kSecond)}});
    out.push_back({"life",
                   "UDP with an answer lives 180 s",
                   w,
                   {first, answer, after(again, Before::Age, 179 * kSecond),
                    after(first, Before::Age, 181 * kSecond)}});
    const Step gone =
        from(kWeb, "data of the ended connection", out_tcp(kAck), reset(RAIND_R_NOT_FIRST));
    out.push_back(
        {"life", "TCP SYN lives 20 s", w, {syn(), after(syn(), Before::Age, 21 * kSecond)}});
    out.push_back({"life",
                   "TCP half open lives 60 s",
                   w,
                   {syn(), syn_ack(), after(gone, Before::Age, 61 * kSecond)}});
    out.push_back({"life",
                   "TCP established lives 12 h",
                   w,
                   {syn(), syn_ack(), ack(), after(ack(), Before::Age, 11 * 3600 * kSecond),
                    after(gone, Before::Age, 13 * 3600 * kSecond)}});
    const Step fin = from(kWeb, "FIN", out_tcp(kFin | kAck), known(Outcome::Deliver));
    const Step fin_back = from(kDb, "FIN back", back_tcp(kFin | kAck), known(Outcome::Deliver));
    out.push_back({"life",
                   "TCP after one FIN lives 120 s",
                   w,
                   {syn(), syn_ack(), ack(), fin, after(ack(), Before::Age, 119 * kSecond),
                    after(gone, Before::Age, 121 * kSecond)}});
    out.push_back({"life",
                   "TCP after both FIN lives 5 s",
                   w,
                   {syn(), syn_ack(), ack(), fin, fin_back, after(ack(), Before::Age, 4 * kSecond),
                    after(gone, Before::Age, 6 * kSecond)}});
    out.push_back({"life",
                   "TCP after RST lives 5 s",
                   w,
                   {syn(), from(kDb, "RST", back_tcp(kRst | kAck), known(Outcome::Deliver)),
                    after(gone, Before::Age, 6 * kSecond)}});
    out.push_back(
        {"life",
         "a lone RST that nobody believed",
         w,
         {syn(), syn_ack(), ack(), from(kDb, "RST", back_tcp(kRst), known(Outcome::Deliver)), ack(),
          after(ack(), Before::Age, 600 * kSecond)}});
    out.push_back({"life",
                   "the sweep ends what expired",
                   w,
                   {first,
                    after(from(kDb, "late answer", back_udp(),
                               drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT)),
                          Before::Age, 31 * kSecond),
                    after(first, Before::Sweep)}});
}

void reuse(std::vector<Case>& out) {
    const World w = world(both());
    const Step reverse = from(kDb, "SYN in reply direction", back_tcp(kSyn),
                              reset(RAIND_R_DEFAULT, RAIND_RULE_EW_DEFAULT));
    out.push_back({"reuse",
                   "a SYN in reply direction needs its own permission",
                   w,
                   {syn(), syn_ack(), ack(), reverse}});
    out.push_back(
        {"reuse",
         "and just after the close",
         w,
         {syn(), syn_ack(), ack(), from(kWeb, "FIN", out_tcp(kFin | kAck), known(Outcome::Deliver)),
          from(kDb, "FIN back", back_tcp(kFin | kAck), known(Outcome::Deliver)), reverse}});
    out.push_back({"reuse",
                   "a SYN repeated is the same flow",
                   w,
                   {syn(), from(kWeb, "SYN again", out_tcp(kSyn), known(Outcome::Deliver))}});
    out.push_back(
        {"reuse",
         "a SYN after the close is a new flow",
         w,
         {syn(), syn_ack(), ack(), from(kWeb, "FIN", out_tcp(kFin | kAck), known(Outcome::Deliver)),
          from(kDb, "FIN back", back_tcp(kFin | kAck), known(Outcome::Deliver)), syn()}});
}

void commits(std::vector<Case>& out) {
    const core::CompiledSet one = both().done(1);
    const core::CompiledSet same = both().done(2);
    const core::CompiledSet other = Rules().allow(kWebId, kDbId, 0, 0, 300).done(2);
    const core::CompiledSet none = Rules().done(2);
    Expected cut = reset(RAIND_R_CUT, RAIND_RULE_EW_DEFAULT, RAIND_EV_CUT);
    const Step gone = from(kWeb, "no flow any more", out_tcp(kAck), reset(RAIND_R_NOT_FIRST));
    out.push_back({"commit",
                   "a flow that is still permitted goes on",
                   world({one, same}),
                   {syn(), syn_ack(), ack(), after(ack(), Before::Commit, 1), ack()}});
    out.push_back({"commit",
                   "a flow that another rule permits goes on",
                   world({one, other}),
                   {syn(), syn_ack(), ack(), after(ack(), Before::Commit, 1)}});
    out.push_back(
        {"commit",
         "a flow without permission is cut at its next packet",
         world({one, none}),
         {syn(), syn_ack(), ack(),
          after(from(kWeb, "data", out_tcp(kPsh | kAck), cut), Before::Commit, 1), gone}});
    out.push_back(
        {"commit",
         "and in reply direction",
         world({one, none}),
         {syn(), syn_ack(), ack(),
          after(from(kDb, "data", back_tcp(kPsh | kAck), cut), Before::Commit, 1), gone}});
    out.push_back({"commit",
                   "the sweep cuts idle flows",
                   world({one, none}),
                   {syn(), syn_ack(), ack(), after(gone, Before::CommitSweep, 1)}});
    out.push_back({"commit",
                   "the sweep keeps permitted flows",
                   world({one, other}),
                   {syn(), syn_ack(), ack(), after(ack(), Before::CommitSweep, 1)}});
    out.push_back(
        {"commit",
         "forth and back: three commits, each in force at once",
         world({one, none, both().done(3)}),
         {syn(),
          after(from(kWeb, "SYN of another connection", out_tcp(kSyn, 40001),
                     reset(RAIND_R_DEFAULT, RAIND_RULE_EW_DEFAULT)),
                Before::CommitSweep, 1),
          after(from(kWeb, "permitted again", out_tcp(kSyn, 40002), allow(Outcome::Deliver, 256)),
                Before::CommitSweep, 2)}});
    const Bytes away = frame(web(), outside(), 4).udp(40000, 5000).payload(8).build();
    out.push_back(
        {"commit",
         "enforce ends what observe let out",
         world({Rules(core::NsMode::Observe).done(1), Rules(core::NsMode::Enforce).done(2)}),
         {from(kWeb, "out", away, allow(Outcome::ToHost, RAIND_RULE_NS_OBSERVE, RAIND_R_DEFAULT)),
          after(from(kWeb, "cut", away, drop(RAIND_R_CUT, RAIND_EV_CUT, RAIND_RULE_NS_ENFORCE)),
                Before::Commit, 1)}});
}

void restarts(std::vector<Case>& out) {
    const World w = world(both());
    const Step gone = from(kDb, "answer of the successor", back_udp(),
                           drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT));
    const Step first = from(kWeb, "first", out_udp(), allow(Outcome::Deliver, 257));
    out.push_back({"restart",
                   "the receiver's successor inherits no flow",
                   w,
                   {first, after(gone, Before::Restart, kDb)}});
    out.push_back({"restart",
                   "the sender's successor inherits no flow",
                   w,
                   {first, after(gone, Before::Restart, kWeb)}});
    out.push_back({"restart",
                   "a new flow to the successor is permitted",
                   w,
                   {first, after(first, Before::Restart, kDb)}});
    out.push_back({"restart",
                   "an address without its endpoint is pool",
                   w,
                   {first, after(from(kWeb, "to nobody", out_udp(), drop(RAIND_R_SPECIAL)),
                                 Before::Withdraw, kDb)}});
    out.push_back({"restart",
                   "a port without its endpoint is shut",
                   w,
                   {first, after(from(kDb, "from nobody", back_udp(), drop(RAIND_R_NO_ENDPOINT)),
                                 Before::Withdraw, kDb)}});
}

void quotas(std::vector<Case>& out) {
    World w = world(both());
    w.endpoints[kWeb].spec.ct_out_limit = 2;
    const auto nth = [](std::uint16_t n) {
        return from(kWeb, "flow " + std::to_string(n),
                    out_udp(static_cast<std::uint16_t>(41000 + n)), allow(Outcome::Deliver, 257));
    };
    const Step over = from(kWeb, "one too many", out_udp(42000), drop(RAIND_R_CT_LIMIT));
    Step known_one = from(kWeb, "a known flow goes on", out_udp(41001), known(Outcome::Deliver));
    out.push_back(
        {"quota", "an endpoint has its number of flows", w, {nth(1), nth(2), over, known_one}});
    out.push_back({"quota",
                   "what expired gives its place back",
                   w,
                   {nth(1), nth(2), over,
                    after(from(kWeb, "place again", out_udp(41001), allow(Outcome::Deliver, 257)),
                          Before::Age, 31 * kSecond)}});
    out.push_back(
        {"quota",
         "the sweep gives places back",
         w,
         {nth(1), nth(2),
          after(from(kWeb, "still over", out_udp(42000), drop(RAIND_R_CT_LIMIT)), Before::Sweep),
          after(from(kWeb, "refused", out_udp(42001), drop(RAIND_R_CT_LIMIT, 0)), Before::Age,
                31 * kSecond),
          after(nth(3), Before::Sweep)}});
    World small = world(both());
    small.flow_table = 64;
    out.push_back(
        {"quota",
         "a full table refuses and evicts nobody",
         small,
         {nth(1),
          after(from(kWeb, "full", out_udp(42000), drop(RAIND_R_CT_FULL)), Before::Fill, 63),
          known_one}});
}

}  // namespace

void add_flow_cases(std::vector<Case>& out) {
    lives(out);
    reuse(out);
    commits(out);
    restarts(out);
    quotas(out);
}

}  // namespace raind::testing
