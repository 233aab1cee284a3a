// Published ports: through the host's port from outside, and from container to container with the
// translation in between.
#include "tests/bpf/world.h"

namespace raind::testing {

namespace {

using core::NsMode;

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint16_t kHostPort = 8080;  // of the host
constexpr std::uint16_t kPort = 80;        // of `db`

// db:80 tcp and udp on every address of the host, 9090 of the uplink's address only.
World published(const std::vector<core::CompiledSet>& sets) {
    World out = world(sets);
    const auto add = [&](const IpAddress& address, std::uint16_t port, std::uint8_t protocol) {
        out.published.push_back({.address = address,
                                 .port = port,
                                 .protocol = protocol,
                                 .identity = kDbId,
                                 .ep_id = 102,
                                 .target = db().of(address.is_v4() ? 4 : 6),
                                 .target_port = kPort});
    };
    for (const IpAddress& any : {IpAddress::v4(0), IpAddress()})
        for (const std::uint8_t protocol : {kTcp, kUdp})
            add(any, kHostPort, protocol);
    add(host().ip4, 9090, kTcp);
    add(host().ip6, 9090, kTcp);
    return out;
}

World published(const Rules& rules) {
    return published({rules.done()});
}

Expected through(std::uint32_t rule) {
    Expected out = allow(Outcome::ToHost, rule);
    out.stamp = RAIND_STAMP_FROM_PORT;
    return out;
}

Expected through_known() {
    Expected out = known(Outcome::ToHost);
    out.stamp = RAIND_STAMP_FROM_PORT;
    return out;
}

// Permitted without a record: the opener's port has made it.
Expected second() {
    return {.outcome = Outcome::Pass, .reason = RAIND_R_POLICY, .flow = true};
}

Bytes syn_to(const Node& target, std::uint16_t port, int family) {
    return frame(web(), target, family).tcp(40000, port, kSyn).build();
}

void from_outside(std::vector<Case>& out, int family) {
    const std::string v = family == 4 ? "v4 " : "v6 ";
    const Bytes syn = host_frame(outside(), db(), family).tcp(40000, kPort, kSyn).build();
    const Bytes question = host_frame(outside(), db(), family).udp(40000, kPort).payload(8).build();
    const Bytes back = frame(db(), outside(), family).tcp(kPort, 40000, kSyn | kAck).build();
    const auto arrives = [&](const char* name, const Bytes& packet, Expected expected,
                             std::uint32_t mark) {
        return forwarded(to(kDb, name, packet, expected, mark));
    };
    const auto one = [&](const char* name, const World& w, Step step) {
        out.push_back({"published", v + name, w, {std::move(step)}});
    };
    const Expected permitted = allow(Outcome::Pass, RAIND_RULE_PUBLISHED, RAIND_R_DEFAULT);
    const Expected refused = drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_NS_ENFORCE);
    const World observe = published(Rules(NsMode::Observe));
    const World enforce = published(Rules(NsMode::Enforce));
    out.push_back({"published",
                   v + "the outside in observe mode, and its answer",
                   observe,
                   {arrives("SYN", syn, permitted, RAIND_STAMP_PUBLISHED),
                    from(kDb, "SYN-ACK", back, known(Outcome::ToHost))}});
    one("the outside in observe mode, udp", observe,
        arrives("datagram", question, permitted, RAIND_STAMP_PUBLISHED));
    one("the outside in enforce mode", enforce,
        arrives("SYN", syn, refused, RAIND_STAMP_PUBLISHED));
    one("the outside in enforce mode, udp", enforce,
        arrives("datagram", question, refused, RAIND_STAMP_PUBLISHED));
    one("the outside in enforce mode with a rule",
        published(Rules(NsMode::Enforce).allow(RAIND_ID_WORLD, kDbId, kTcp, kPort, 320)),
        arrives("SYN", syn, allow(Outcome::Pass, 320), RAIND_STAMP_PUBLISHED));
    one("the outside in observe mode with a denial",
        published(Rules(NsMode::Observe).deny(RAIND_ID_WORLD, kDbId, kTcp, kPort, 321)),
        arrives("SYN", syn, drop(RAIND_R_POLICY, RAIND_EV_DENY, 321), RAIND_STAMP_PUBLISHED));
    one("routed to the container's address", observe, arrives("SYN", syn, refused, 0));
    one("any container's stamp is not the port's", observe,
        arrives("SYN", syn, refused, RAIND_STAMP_FROM_PORT));
    one("echo is not published", observe,
        arrives("echo",
                host_frame(outside(), db(), family).icmp(family == 4 ? 8 : 128).payload(8).build(),
                refused, 0));
    World quarantined = observe;
    quarantined.endpoints[kDb].flags = RAIND_EP_QUARANTINE;
    one("a container in quarantine", quarantined,
        arrives("SYN", syn, drop(RAIND_R_QUARANTINE), RAIND_STAMP_PUBLISHED));
    World own_mode = observe;
    own_mode.endpoints[kDb].flags = RAIND_EP_NS_ENFORCE;
    one("a container that enforces while others observe", own_mode,
        arrives("SYN", syn, refused, RAIND_STAMP_PUBLISHED));
    out.push_back(
        {"published",
         v + "a commit to enforce mode cuts the flow",
         published({Rules(NsMode::Observe).done(1), Rules(NsMode::Enforce).done(2)}),
         {arrives("SYN", syn, permitted, RAIND_STAMP_PUBLISHED),
          after(from(kDb, "SYN-ACK", back, reset(RAIND_R_CUT, RAIND_RULE_NS_ENFORCE, RAIND_EV_CUT)),
                Before::Commit, 1)}});
}

void between_containers(std::vector<Case>& out, int family) {
    const std::string v = family == 4 ? "v4 " : "v6 ";
    const World open = published(Rules().allow(kWebId, kDbId, kTcp, kPort, 330));
    const Bytes translated = host_frame(web(), db(), family).tcp(40000, kPort, kSyn).build();
    const Bytes answer = frame(db(), web(), family).tcp(kPort, 40000, kSyn | kAck).build();
    const auto untranslated = [&](const Node& address) {
        return host_frame(address, web(), family).tcp(kHostPort, 40000, kSyn | kAck).build();
    };
    Expected slow_known = known(Outcome::ToHost);
    slow_known.stamp = RAIND_STAMP_FROM_PORT;
    for (const Node& address : {host(), gateway()})
        out.push_back(
            {"published",
             v + "another container with a rule, to " + address.of(family).to_string() +
                 ", and its answer",
             open,
             {from(kWeb, "SYN", syn_to(address, kHostPort, family), through(330)),
              to(kDb, "translated", translated, second(), RAIND_STAMP_FROM_PORT),
              from(kDb, "SYN-ACK", answer, slow_known),
              forwarded(to(kWeb, "translated back", untranslated(address), known(Outcome::Pass),
                           RAIND_STAMP_FROM_PORT)),
              from(kWeb, "ACK", frame(web(), address, family).tcp(40000, kHostPort, kAck).build(),
                   through_known())}});
    const auto one = [&](const char* name, const World& w, Step step) {
        out.push_back({"published", v + name, w, {std::move(step)}});
    };
    const Expected refused = reset(RAIND_R_DEFAULT, RAIND_RULE_EW_DEFAULT);
    const Expected closed = reset(RAIND_R_DEFAULT, RAIND_RULE_CTR_TO_HOST);
    one("another container without a rule", published(Rules()),
        from(kWeb, "SYN", syn_to(host(), kHostPort, family), refused));
    one("a rule for the host's port is not one for the container's",
        published(Rules().allow(kWebId, kDbId, kTcp, kHostPort, 331)),
        from(kWeb, "SYN", syn_to(host(), kHostPort, family), refused));
    one("udp with a rule for tcp only", open,
        from(kWeb, "datagram", frame(web(), host(), family).udp(40000, kHostPort).build(),
             drop(RAIND_R_DEFAULT, RAIND_EV_DENY, RAIND_RULE_EW_DEFAULT)));
    one("a denial", published(Rules().deny(kWebId, kDbId, kTcp, kPort, 332)),
        from(kWeb, "SYN", syn_to(host(), kHostPort, family), reset(RAIND_R_POLICY, 332)));
    one("another port of the host", open, from(kWeb, "SYN", syn_to(host(), kPort, family), closed));
    one("published on another address only", open,
        from(kWeb, "SYN", syn_to(gateway(), 9090, family), closed));
    one("published on this address only", open,
        from(kWeb, "SYN", syn_to(host(), 9090, family), through(330)));
    one("an outside address with that port", open,
        from(kWeb, "SYN", syn_to(outside(), kHostPort, family),
             allow(Outcome::ToHost, RAIND_RULE_NS_OBSERVE, RAIND_R_DEFAULT)));
    out.push_back({"published",
                   v + "the port is gone: so is the flow",
                   open,
                   {from(kWeb, "SYN", syn_to(host(), kHostPort, family), through(330)),
                    after(from(kWeb, "SYN again", syn_to(host(), kHostPort, family), closed),
                          Before::Unpublish)}});
    out.push_back(
        {"published",
         v + "the rule is gone: so is the flow",
         published({Rules().allow(kWebId, kDbId, kTcp, kPort, 333).done(1), Rules().done(2)}),
         {from(kWeb, "SYN", syn_to(host(), kHostPort, family), through(333)),
          after(from(kWeb, "SYN again", syn_to(host(), kHostPort, family),
                     reset(RAIND_R_CUT, RAIND_RULE_EW_DEFAULT, RAIND_EV_CUT)),
                Before::Commit, 1)}});
}

// A host's address on a packet that was forwarded: only as the answer of a published port.
void forged_answers(std::vector<Case>& out, int family) {
    const std::string v = family == 4 ? "v4 " : "v6 ";
    const World open = published(Rules().allow(kWebId, kDbId, kTcp, kPort, 340));
    const auto step = [&](const char* name, std::uint16_t port, std::uint8_t flags,
                          std::uint32_t mark) {
        return forwarded(to(kWeb, name,
                            host_frame(host(), web(), family).tcp(port, 40000, flags).build(),
                            drop(RAIND_R_SPOOF), mark));
    };
    const auto one = [&](const char* name, Step s) {
        out.push_back({"published", v + name, open, {std::move(s)}});
    };
    one("an answer without a question",
        step("SYN-ACK", kHostPort, kSyn | kAck, RAIND_STAMP_FROM_PORT));
    one("the published port opens nothing", step("SYN", kHostPort, kSyn, RAIND_STAMP_FROM_PORT));
    one("from a port that is not published", step("SYN", 22, kSyn, RAIND_STAMP_FROM_PORT));
    one("unstamped", step("SYN-ACK", kHostPort, kSyn | kAck, 0));
    Expected other = drop(RAIND_R_SPOOF);
    other.flow = true;
    out.push_back(
        {"published",
         v + "an answer without the stamp, to a question that was asked",
         open,
         {from(kWeb, "SYN", syn_to(host(), kHostPort, family), through(340)),
          forwarded(to(kWeb, "SYN-ACK",
                       host_frame(host(), web(), family).tcp(kHostPort, 40000, kSyn | kAck).build(),
                       other))}});
}

}  // namespace

void add_published_cases(std::vector<Case>& out) {
    for (const int family : {4, 6}) {
        from_outside(out, family);
        between_containers(out, family);
        forged_answers(out, family);
    }
}

}  // namespace raind::testing
