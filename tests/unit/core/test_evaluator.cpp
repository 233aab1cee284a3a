#include <doctest/doctest.h>

#include "tests/unit/core/evaluator_lab.h"
#include "userspace/core/evaluator.h"

using namespace raind;
using namespace raind::core;
using namespace raind::testing;

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

bool dropped(const Judgement& judgement, raind_reason reason) {
    INFO("reason " << judgement.reason);
    return judgement.delivery == Delivery::Drop && judgement.reason == reason && !judgement.flow;
}

bool opened(const Judgement& judgement, RuleId rule) {
    INFO("reason " << judgement.reason << " rule " << judgement.rule);
    return judgement.event == RAIND_EV_NEW && judgement.flow && judgement.rule == rule &&
           (judgement.delivery == Delivery::Redirect || judgement.delivery == Delivery::ToHost ||
            judgement.delivery == Delivery::Pass);
}

}  // namespace

TEST_CASE("without a commit nothing passes") {
    Lab lab;
    const Judgement first = lab.tcp(lab.web, lab.db.ip4, 1000, 80);
    CHECK(first.reason == RAIND_R_NO_GENERATION);
    CHECK(first.delivery == Delivery::Drop);
    CHECK(first.event == RAIND_EV_DENY);
    CHECK_FALSE(first.flow);
}

TEST_CASE("east-west: denied by default, one rule opens one port in one direction") {
    Lab lab;
    lab.commit();
    const Judgement denied = lab.tcp(lab.web, lab.db.ip4, 1000, 8080);
    CHECK(denied.reason == RAIND_R_DEFAULT);
    CHECK(denied.rule == RAIND_RULE_EW_DEFAULT);
    CHECK(denied.delivery == Delivery::Answer);
    CHECK(denied.event == RAIND_EV_DENY);
    CHECK_FALSE(denied.flow);
    const RuleId rule = lab.add("RAIND-EW", "web", "db", "tcp", 8080);
    for (const IpAddress& to : {lab.db.ip4, lab.db.ip6}) {
        CHECK(opened(lab.tcp(lab.web, to, 1000, 8080), rule));
        CHECK(lab.tcp(lab.web, to, 1000, 8081).reason == RAIND_R_DEFAULT);
        CHECK(lab.send(lab.web, lab.packet(lab.web, to).udp(1, 8080).build()).reason ==
              RAIND_R_DEFAULT);
    }
    CHECK(lab.tcp(lab.db, lab.web.ip4, 2000, 8080).reason == RAIND_R_DEFAULT);
}

TEST_CASE("replies pass by the entry, from the exact tuple only") {
    Lab lab;
    lab.add("RAIND-EW", "web", "db", "tcp", 80);
    REQUIRE(lab.tcp(lab.web, lab.db.ip4, 1000, 80).flow);
    const Judgement reply = lab.tcp(lab.db, lab.web.ip4, 80, 1000, kSyn | kAck);
    CHECK(reply.reason == RAIND_R_ESTABLISHED);
    CHECK(reply.delivery == Delivery::Redirect);
    CHECK(lab.tcp(lab.db, lab.web.ip4, 81, 1000, kSyn | kAck).reason == RAIND_R_NOT_FIRST);
    CHECK(lab.tcp(lab.db, lab.web.ip4, 80, 1001, kAck).reason == RAIND_R_NOT_FIRST);
    // A new connection the other way with the same ports needs a rule of its own.
    const Judgement reverse = lab.tcp(lab.db, lab.web.ip4, 80, 1000, kSyn);
    CHECK(reverse.reason == RAIND_R_DEFAULT);
    CHECK_FALSE(reverse.flow);
}

TEST_CASE("icmp: requests open, replies answer, a reply alone is nothing") {
    Lab lab;
    lab.commit();
    const auto echo = [&](const EndpointSpec& from, const IpAddress& to, bool request) {
        const std::uint8_t type = to.is_v4() ? (request ? 8 : 0) : (request ? 128 : 129);
        return lab.send(from, lab.packet(from, to).icmp(type).build());
    };
    CHECK(dropped(echo(lab.web, lab.db.ip4, true), RAIND_R_DEFAULT));
    lab.add("RAIND-EW", "web", "db", "icmp");
    CHECK(dropped(echo(lab.web, lab.db.ip4, false), RAIND_R_NOT_FIRST));
    for (const bool six : {false, true}) {
        const IpAddress db = six ? lab.db.ip6 : lab.db.ip4;
        const IpAddress web = six ? lab.web.ip6 : lab.web.ip4;
        CHECK(echo(lab.web, db, true).event == RAIND_EV_NEW);
        CHECK(echo(lab.db, web, false).reason == RAIND_R_ESTABLISHED);
        CHECK(echo(lab.db, web, true).reason == RAIND_R_DEFAULT);
    }
}

TEST_CASE("source checks: MAC, IPv4, IPv6, and who is at the port") {
    Lab lab;
    lab.add("RAIND-EW", "web", "db");
    CHECK(dropped(lab.send(lab.web, PacketBuilder()
                                        .eth(lab.db.mac, lab.web.gateway_mac)
                                        .from(lab.web.ip4)
                                        .to(lab.db.ip4)
                                        .tcp(1, 2, kSyn)
                                        .build()),
                  RAIND_R_SRC_MAC));
    CHECK(dropped(
        lab.send(lab.web, lab.packet(lab.web, lab.db.ip4).from(lab.db.ip4).tcp(1, 2, kSyn).build()),
        RAIND_R_SRC_IP));
    CHECK(dropped(
        lab.send(lab.web,
                 lab.packet(lab.web, lab.db.ip6).from(ip("fd00::9")).tcp(1, 2, kSyn).build()),
        RAIND_R_SRC_IP));
    CHECK(opened(lab.tcp(lab.web, lab.db.ip4, 1, 2), 256));
    EndpointSpec nobody = lab.web;
    nobody.ifindex = 999;
    CHECK(dropped(lab.send(nobody, lab.packet(lab.web, lab.db.ip4).tcp(1, 2, kSyn).build()),
                  RAIND_R_NO_ENDPOINT));
}

TEST_CASE("what cannot be judged is dropped with its reason") {
    Lab lab;
    lab.add("RAIND-EW", "web", "db");
    const auto from_web = [&](const PacketBuilder& builder) {
        return lab.send(lab.web, builder.build());
    };
    const auto base = [&] { return lab.packet(lab.web, lab.db.ip4).tcp(1, 2, kSyn); };
    const auto base6 = [&] { return lab.packet(lab.web, lab.db.ip6).tcp(1, 2, kSyn); };
    CHECK(dropped(from_web(base().vlan()), RAIND_R_VLAN));
    CHECK(dropped(from_web(base().options(4)), RAIND_R_IP_OPTIONS));
    CHECK(dropped(from_web(base().fragment(0, true)), RAIND_R_FRAGMENT));
    CHECK(dropped(from_web(base().fragment(2, false)), RAIND_R_FRAGMENT));
    CHECK(dropped(from_web(base6().fragment(0, true)), RAIND_R_FRAGMENT));
    CHECK(dropped(from_web(base().length_delta(9)), RAIND_R_IP_HEADER));
    CHECK(dropped(from_web(base().header_length(4)), RAIND_R_IP_HEADER));
    CHECK(dropped(from_web(base().cut(1)), RAIND_R_SHORT));
    CHECK(dropped(from_web(base6().cut(1)), RAIND_R_SHORT));
    CHECK(dropped(from_web(base6().extensions({43})), RAIND_R_EXT_HEADER));
    CHECK(dropped(from_web(base6().extensions({60, 60, 60, 60, 60, 60, 60})), RAIND_R_EXT_HEADER));
    CHECK(from_web(base6().extensions({60, 60, 60, 60, 60, 60})).event == RAIND_EV_NEW);
    CHECK(dropped(lab.send(lab.web, PacketBuilder()
                                        .eth(lab.web.mac, lab.web.gateway_mac)
                                        .ethertype(0x88cc)
                                        .raw(Bytes(46, 0))),
                  RAIND_R_ETHERTYPE));
    CHECK(dropped(lab.send(lab.web, Bytes{1, 2, 3}), RAIND_R_SHORT));
    CHECK(dropped(from_web(lab.packet(lab.web, lab.db.ip4).icmp(3)), RAIND_R_ICMP_ERROR));
}

TEST_CASE("all 64 sets of TCP flags: six reasons to drop, one to open") {
    for (unsigned flags = 0; flags < 64; ++flags) {
        Lab lab;
        lab.add("RAIND-EW", "web", "db");
        const auto has = [&](unsigned mask) { return (flags & mask) == mask; };
        const bool odd = flags == 0 || has(kSyn | kFin) || has(kSyn | kRst) || has(kFin | kRst) ||
                         (has(kFin | kUrg | kPsh) && !has(kAck));
        const bool opens = has(kSyn) && !has(kAck);
        const Judgement got = lab.tcp(lab.web, lab.db.ip4, 1, 2, static_cast<std::uint8_t>(flags));
        INFO("flags " << flags);
        if (odd)
            CHECK(got.reason == RAIND_R_TCP_FLAGS);
        else if (opens)
            CHECK(got.event == RAIND_EV_NEW);
        else
            CHECK(got.reason == RAIND_R_NOT_FIRST);
        CHECK(got.flow == (!odd && opens));
    }
}

TEST_CASE("special and unused destinations are never permitted") {
    Lab lab;
    lab.commit();
    for (const char* to : {"224.0.0.1", "255.255.255.255", "127.0.0.1", "0.1.2.3", "240.0.0.1",
                           "10.166.0.77", "10.166.9.9", "10.166.0.255"})
        CHECK_MESSAGE(dropped(lab.tcp(lab.web, ip(to), 1, 2), RAIND_R_SPECIAL), to);
    for (const char* to :
         {"ff02::1", "fe80::1", "::1", "::1.2.3.4", "64:ff9b::102:304", "fd00::77"})
        CHECK_MESSAGE(dropped(lab.tcp(lab.web, ip(to), 1, 2), RAIND_R_SPECIAL), to);
    CHECK(dropped(lab.send(lab.web, PacketBuilder()
                                        .eth(lab.web.mac, lab.web.gateway_mac)
                                        .from(lab.web.ip6)
                                        .to(ip("::ffff:192.0.2.1"))
                                        .version(6)
                                        .tcp(1, 2, kSyn)
                                        .build()),
                  RAIND_R_SPECIAL));
    CHECK(opened(lab.tcp(lab.web, ip("192.0.2.1"), 1, 2), RAIND_RULE_NS_OBSERVE));
}

TEST_CASE("the host is closed, its gateway answers echo") {
    Lab lab;
    lab.add("RAIND-NS-OBS", "web", "203.0.113.0/24");
    const Judgement denied = lab.tcp(lab.web, ip("192.168.7.7"), 1, 22);
    CHECK(denied.rule == RAIND_RULE_CTR_TO_HOST);
    CHECK(denied.reason == RAIND_R_DEFAULT);
    CHECK(lab.tcp(lab.web, ip("10.166.0.254"), 1, 22).rule == RAIND_RULE_CTR_TO_HOST);
    const Judgement echo =
        lab.send(lab.web, lab.packet(lab.web, ip("10.166.0.254")).icmp(8).build());
    CHECK(opened(echo, RAIND_RULE_GW_ECHO));
    CHECK(echo.stamp == RAIND_STAMP_TO_HOST);
    CHECK(dropped(lab.send(lab.web, lab.packet(lab.web, ip("192.168.7.7")).icmp(8).build()),
                  RAIND_R_DEFAULT));
}

TEST_CASE("north-south: observe allows but for denies, enforce denies but for allows") {
    Lab lab;
    const RuleId deny = lab.add("RAIND-NS-OBS", "web", "198.51.100.0/24", "tcp", 25);
    const RuleId allow = lab.add("RAIND-NS-ENF", "web", "198.51.100.7", "tcp", 443);
    const IpAddress out = ip("198.51.100.7");
    const Judgement mail = lab.tcp(lab.web, out, 1, 25);
    CHECK(mail.rule == deny);
    CHECK(mail.reason == RAIND_R_POLICY);
    CHECK(mail.delivery == Delivery::Answer);
    CHECK((mail.match_class & RAIND_ID_TYPE_MASK) == RAIND_ID_CIDR);
    const Judgement web = lab.tcp(lab.web, out, 2, 443);
    CHECK(opened(web, RAIND_RULE_NS_OBSERVE));
    CHECK(web.stamp == RAIND_STAMP_FROM_PORT);
    CHECK(web.delivery == Delivery::ToHost);
    REQUIRE(stage_mode(lab.policies, NsMode::Enforce).has_value());
    lab.commit();
    CHECK(opened(lab.tcp(lab.web, out, 3, 443), allow));
    CHECK(lab.tcp(lab.web, out, 4, 25).rule == RAIND_RULE_NS_ENFORCE);
    CHECK(lab.tcp(lab.db, out, 5, 443).rule == RAIND_RULE_NS_ENFORCE);
}

TEST_CASE("IPv4 rules do not cover IPv6 destinations") {
    Lab lab;
    lab.add("RAIND-NS-OBS", "web", "0.0.0.0/0");
    CHECK(lab.tcp(lab.web, ip("192.0.2.1"), 1, 80).reason == RAIND_R_POLICY);
    CHECK(opened(lab.tcp(lab.web, ip("2001:db8::1"), 1, 80), RAIND_RULE_NS_OBSERVE));
    lab.add("RAIND-NS-OBS", "web", "::/0");
    CHECK(lab.tcp(lab.web, ip("2001:db8::1"), 2, 80).reason == RAIND_R_POLICY);
}

TEST_CASE("a commit that takes a permission away cuts the flow, others go on") {
    Lab lab;
    const RuleId keep = lab.add("RAIND-EW", "web", "db", "tcp", 81);
    lab.add("RAIND-EW", "web", "db", "tcp", 80);
    REQUIRE(lab.tcp(lab.web, lab.db.ip4, 1, 80).flow);
    REQUIRE(lab.tcp(lab.web, lab.db.ip4, 2, 81).flow);
    REQUIRE(stage_remove(lab.policies, "p2").has_value());
    lab.commit();
    const Judgement cut = lab.tcp(lab.db, lab.web.ip4, 80, 1, kSyn | kAck);
    CHECK(cut.reason == RAIND_R_CUT);
    CHECK(cut.event == RAIND_EV_CUT);
    CHECK(cut.rule == RAIND_RULE_EW_DEFAULT);
    CHECK(cut.delivery == Delivery::Answer);
    CHECK_FALSE(cut.flow);
    const Judgement goes_on = lab.tcp(lab.web, lab.db.ip4, 2, 81, kAck);
    CHECK(goes_on.reason == RAIND_R_ESTABLISHED);
    CHECK(goes_on.rule == keep);
    REQUIRE(stage_remove(lab.policies, "p1").has_value());
    lab.commit();
    const SweepCounts counts = lab.evaluator.rejudge();
    CHECK(counts.cut == 1);
    CHECK(counts.kept == 0);
    CHECK(lab.tcp(lab.web, lab.db.ip4, 2, 81, kAck).reason == RAIND_R_NOT_FIRST);
}

TEST_CASE("idle lives: NEW, REPLIED, established, closed") {
    Lab lab;
    lab.add("RAIND-EW", "web", "db");
    const auto web = [&](std::uint8_t flags) { return lab.tcp(lab.web, lab.db.ip4, 1, 80, flags); };
    const auto db = [&](std::uint8_t flags) { return lab.tcp(lab.db, lab.web.ip4, 80, 1, flags); };
    web(kSyn);
    lab.evaluator.age_flows(21 * kSecond);
    CHECK(web(kAck).reason == RAIND_R_NOT_FIRST);
    web(kSyn);
    db(kSyn | kAck);
    lab.evaluator.age_flows(59 * kSecond);
    CHECK(web(kAck).reason == RAIND_R_ESTABLISHED);
    lab.evaluator.age_flows(11 * 3600 * kSecond);
    CHECK(db(kAck).reason == RAIND_R_ESTABLISHED);
    lab.evaluator.age_flows(13 * 3600 * kSecond);
    CHECK(web(kFin | kAck).reason == RAIND_R_NOT_FIRST);
    web(kSyn);
    db(kSyn | kAck);
    web(kAck);
    web(kFin | kAck);
    lab.evaluator.age_flows(119 * kSecond);
    CHECK(db(kFin | kAck).reason == RAIND_R_ESTABLISHED);
    lab.evaluator.age_flows(6 * kSecond);
    CHECK(web(kAck).reason == RAIND_R_NOT_FIRST);
    CHECK(lab.evaluator.flow_count() == 0);
}

TEST_CASE("a lone reset closes, a later segment takes the flow up again, a SYN opens anew") {
    Lab lab;
    lab.add("RAIND-EW", "web", "db");
    const auto web = [&](std::uint8_t flags) { return lab.tcp(lab.web, lab.db.ip4, 1, 80, flags); };
    web(kSyn);
    lab.tcp(lab.db, lab.web.ip4, 80, 1, kSyn | kAck);
    web(kAck);
    web(kRst);
    CHECK(web(kAck).reason == RAIND_R_ESTABLISHED);
    lab.evaluator.age_flows(60 * kSecond);
    CHECK(web(kAck).reason == RAIND_R_ESTABLISHED);
    web(kRst);
    CHECK(web(kSyn).event == RAIND_EV_NEW);
}

TEST_CASE("flows end with their endpoint, whatever address the next one has") {
    Lab lab;
    lab.add("RAIND-EW", "web", "db");
    REQUIRE(lab.tcp(lab.web, lab.db.ip4, 1, 80).flow);
    EndpointSpec next = lab.db;
    next.ep_id = 99;
    lab.evaluator.set_endpoint(next);
    CHECK(lab.tcp(lab.web, lab.db.ip4, 1, 80, kAck).reason == RAIND_R_NOT_FIRST);
    REQUIRE(lab.tcp(lab.web, lab.db.ip4, 1, 80).flow);
    lab.evaluator.remove_endpoint(lab.db.ifindex);
    CHECK(lab.evaluator.flow_count() == 0);
    CHECK(dropped(lab.tcp(lab.web, lab.db.ip4, 1, 80), RAIND_R_SPECIAL));
}

TEST_CASE("towards a container: host allowed, outside denied, impersonation told apart") {
    Lab lab;
    lab.commit();
    const auto syn = [&](const char* from) {
        return PacketBuilder()
            .eth(lab.db.gateway_mac, lab.db.mac)
            .from(ip(from))
            .to(lab.db.ip4)
            .tcp(1, 80, kSyn)
            .build();
    };
    CHECK(dropped(lab.receive(lab.db, syn("10.166.0.254"), 0, true), RAIND_R_SPOOF));
    CHECK(opened(lab.receive(lab.db, syn("10.166.0.254")), RAIND_RULE_HOST_TO_CTR));
    CHECK(dropped(lab.receive(lab.db, syn("10.166.0.1")), RAIND_R_UNSTAMPED));
    CHECK(dropped(lab.receive(lab.db, syn("10.166.0.1"), RAIND_STAMP_FROM_PORT), RAIND_R_DEFAULT));
    CHECK(dropped(lab.receive(lab.db, syn("192.0.2.1")), RAIND_R_DEFAULT));
    CHECK(dropped(lab.receive(lab.db, syn("10.166.0.99")), RAIND_R_SPECIAL));
    CHECK(dropped(lab.receive(lab.web, syn("192.0.2.1")), RAIND_R_NOT_MINE));
    lab.commit(false);
    CHECK(lab.receive(lab.db, syn("10.166.0.254")).reason == RAIND_R_CUT);
    CHECK(dropped(lab.receive(lab.db, syn("10.166.0.254")), RAIND_R_DEFAULT));
}

TEST_CASE("replies from outside pass by the entry of the container's own flow") {
    Lab lab;
    lab.commit();
    REQUIRE(lab.tcp(lab.web, ip("192.0.2.1"), 1000, 443).flow);
    const auto reply = [&](std::uint16_t from) {
        return PacketBuilder()
            .eth(lab.web.gateway_mac, lab.web.mac)
            .from(ip("192.0.2.1"))
            .to(lab.web.ip4)
            .tcp(from, 1000, kSyn | kAck)
            .build();
    };
    const Judgement got = lab.receive(lab.web, reply(443), 0, true);
    CHECK(got.reason == RAIND_R_ESTABLISHED);
    CHECK(got.delivery == Delivery::Pass);
    CHECK(dropped(lab.receive(lab.web, reply(444), 0, true), RAIND_R_NOT_FIRST));
}

TEST_CASE("ARP: every question is answered by the bridge, nobody speaks for others") {
    Lab lab;
    const auto arp = [&](std::uint16_t operation, const MacAddress& sender, const char* claimed,
                         const char* target) {
        return lab.send(lab.web,
                        PacketBuilder()
                            .eth(lab.web.mac, lab.web.gateway_mac)
                            .arp(operation, sender, ip(claimed), lab.web.gateway_mac, ip(target)));
    };
    CHECK(arp(1, lab.web.mac, "10.166.0.1", "10.166.0.2").delivery == Delivery::Answer);
    CHECK(arp(1, lab.web.mac, "0.0.0.0", "10.166.0.1").reason == RAIND_R_QUIET);
    CHECK(arp(1, lab.web.mac, "10.166.0.1", "10.166.0.1").reason == RAIND_R_QUIET);
    CHECK(arp(1, lab.web.mac, "10.166.0.254", "10.166.0.2").reason == RAIND_R_ARP);
    CHECK(arp(1, lab.db.mac, "10.166.0.1", "10.166.0.2").reason == RAIND_R_ARP);
    CHECK(arp(2, lab.web.mac, "10.166.0.1", "10.166.0.254").delivery == Delivery::Pass);
    CHECK(arp(2, lab.web.mac, "10.166.0.254", "10.166.0.2").reason == RAIND_R_ARP);
}

TEST_CASE("neighbour discovery: answered, silent or refused") {
    Lab lab;
    const auto nd = [&](std::uint8_t type, const char* from, const char* target,
                        std::uint8_t hops = 255) {
        return lab.send(lab.web, PacketBuilder()
                                     .eth(lab.web.mac, lab.web.gateway_mac)
                                     .from(ip(from))
                                     .to(ip(type == 136 ? "fd00::fe" : "ff02::1:ff00:2"))
                                     .nd(type, ip(target), lab.web.mac)
                                     .hop_limit(hops)
                                     .build());
    };
    CHECK(nd(135, "fd00::1", "fd00::2").delivery == Delivery::Answer);
    CHECK(nd(135, "fd00::1", "fd00::2", 64).reason == RAIND_R_NDP);
    CHECK(nd(135, "fd00::1", "fd00::1").reason == RAIND_R_QUIET);
    CHECK(nd(135, "::", "fd00::1").reason == RAIND_R_QUIET);
    CHECK(nd(135, "fd00::2", "fd00::3").reason == RAIND_R_SRC_IP);
    CHECK(nd(136, "fd00::1", "fd00::1").delivery == Delivery::Pass);
    CHECK(nd(136, "fd00::1", "fd00::fe").reason == RAIND_R_NDP);
    CHECK(nd(136, "fd00::fe", "fd00::fe").reason == RAIND_R_SRC_IP);
    const Judgement router = nd(134, "fd00::1", "fd00::2");
    CHECK(router.reason == RAIND_R_NDP);
    CHECK(router.event == RAIND_EV_DENY);
}

TEST_CASE("limits: an endpoint's share, a full table; established flows go on") {
    Lab lab;
    lab.web.ct_out_limit = 3;
    lab.evaluator.set_endpoint(lab.web);
    lab.add("RAIND-EW", "web", "db");
    lab.add("RAIND-EW", "db", "web");
    for (std::uint16_t port = 1; port <= 3; ++port)
        CHECK(lab.tcp(lab.web, lab.db.ip4, port, 80).flow);
    CHECK(dropped(lab.tcp(lab.web, lab.db.ip4, 4, 80), RAIND_R_CT_LIMIT));
    CHECK(lab.tcp(lab.web, lab.db.ip4, 1, 80, kAck).reason == RAIND_R_ESTABLISHED);
    CHECK(lab.tcp(lab.db, lab.web.ip4, 9, 80).flow);
    lab.evaluator.add_foreign_flows(RAIND_MAX_CT);
    CHECK(dropped(lab.tcp(lab.db, lab.web.ip4, 10, 80), RAIND_R_CT_FULL));
}

TEST_CASE("quarantine, audit, no-reset and slow ports") {
    Lab lab;
    lab.commit();
    lab.evaluator.set_endpoint(lab.web, RAIND_EP_AUDIT);
    const Judgement audit = lab.tcp(lab.web, lab.db.ip4, 1, 80);
    CHECK(audit.event == RAIND_EV_AUDIT);
    CHECK(audit.delivery == Delivery::Redirect);
    lab.evaluator.set_endpoint(lab.web, RAIND_EP_NO_RESET);
    CHECK(lab.tcp(lab.web, lab.db.ip4, 2, 80).delivery == Delivery::Drop);
    lab.evaluator.set_endpoint(lab.db, RAIND_EP_QUARANTINE);
    CHECK(dropped(lab.tcp(lab.web, lab.db.ip4, 3, 80), RAIND_R_QUARANTINE));
    CHECK(dropped(lab.tcp(lab.db, lab.web.ip4, 3, 80), RAIND_R_QUARANTINE));
    lab.db.fast_path = false;
    lab.evaluator.set_endpoint(lab.db);
    lab.add("RAIND-EW", "web", "db");
    const Judgement slow = lab.tcp(lab.web, lab.db.ip4, 4, 80);
    CHECK(slow.delivery == Delivery::ToHost);
    CHECK(slow.stamp == RAIND_STAMP_FROM_PORT);
}

TEST_CASE("denials of one key are recorded once a second") {
    Lab lab;
    lab.commit();
    CHECK(lab.tcp(lab.web, lab.db.ip4, 1, 80).event == RAIND_EV_DENY);
    CHECK(lab.tcp(lab.web, lab.db.ip4, 2, 80).event == 0);
    CHECK(lab.tcp(lab.web, lab.db.ip4, 2, 81).event == RAIND_EV_DENY);
}
