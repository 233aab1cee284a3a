// The guard table and masquerade without any program: stamps are set by a table of the test.
#include <algorithm>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/net/guard_net.h"

using namespace raind;
using namespace raind::test;
using netfilter::Guard;
using netfilter::GuardState;
using netfilter::run_nft;

namespace {

void route(const NetnsRef& netns, const char* link, const char* gateway) {
    auto socket = must(net::NetlinkSocket::open(netns));
    must(net::set_default_route(socket, must(net::get_link(socket, link)).index,
                                must(IpAddress::parse(gateway))));
}

struct Topology : GuardNet {
    Topology() {
        route(outside, "far0", kHost4);
        route(outside, "far0", kHost6);
        allow_ping(outside);
        must(guard->ensure(guard_spec()));
    }
};

std::string ruleset(const NetnsRef& netns) {
    return must(run_nft(netns, "list ruleset"));
}

void filter_bridged_frames(const NetnsRef& netns, const char* value) {
    must(net::write_sysctls(netns, {{"bridge/bridge-nf-call-iptables", value, true},
                                    {"bridge/bridge-nf-call-ip6tables", value, true}}));
}

}  // namespace

TEST_CASE("what carries no stamp reaches neither host nor outside nor another container") {
    for (const auto* bridged : {"0", "1"}) {
        CAPTURE(bridged);
        Topology net;
        filter_bridged_frames(net.host.netns, bridged);
        ProbeServer on_host(net.host.netns);
        ProbeServer on_outside(net.outside);
        ProbeServer on_db(net.db.netns);
        const auto before = net.count("unstamped");
        CHECK(reach(net.web.netns, "10.166.0.254", "fd00:a6::fe") == kNone);
        CHECK(reach(net.web.netns, kHost4, kHost6) == kNone);
        CHECK(reach(net.web.netns, kOutside4, kOutside6) == kNone);
        CHECK(reach(net.web.netns, net.db.ip4, net.db.ip6) == kNone);
        CHECK(net.count("unstamped") >= before + 24);
        // Stopped by the first line already, not only by those behind it.
        CHECK(net.count("not_for_host") == 0);
        CHECK(net.count("not_for_outside") == 0);
        CHECK(on_host.log().find("from") == std::string::npos);
        CHECK(on_outside.log().find("from") == std::string::npos);
        CHECK(on_db.log().find("from") == std::string::npos);
    }
}

TEST_CASE("stamped for the outside: masqueraded there, never between containers, not to the host") {
    for (const auto* bridged : {"0", "1"}) {
        CAPTURE(bridged);
        Topology net;
        filter_bridged_frames(net.host.netns, bridged);
        net.stamp(netfilter::Stamp{}.from_port);
        ProbeServer on_host(net.host.netns);
        ProbeServer on_outside(net.outside);
        ProbeServer on_db(net.db.netns);
        CHECK(reach_patiently(net.web.netns, kOutside4, kOutside6) == kAllOk);
        CHECK(on_outside.log().find("tcp from 192.0.2.1 ") != std::string::npos);
        CHECK(on_outside.log().find("udp from 2001:db8::1 ") != std::string::npos);
        CHECK(on_outside.log().find("10.166.") == std::string::npos);
        CHECK(on_outside.log().find("fd00:") == std::string::npos);
        CHECK(net.count("masqueraded") >= 6);
        const auto masqueraded = net.count("masqueraded");
        CHECK(reach_patiently(net.web.netns, net.db.ip4, net.db.ip6) == kAllOk);
        CHECK(on_db.log().find("tcp from 10.166.0.1 ") != std::string::npos);
        CHECK(on_db.log().find("udp from fd00:a6::1 ") != std::string::npos);
        CHECK(net.count("masqueraded") == masqueraded);
        CHECK(reach(net.web.netns, "10.166.0.254", "fd00:a6::fe") == kNone);
        CHECK(reach(net.web.netns, kHost4, kHost6) == kNone);
        CHECK(net.count("not_for_host") >= 12);
    }
}

TEST_CASE("stamped for the host: reaches it and nothing behind it") {
    Topology net;
    net.stamp(netfilter::Stamp{}.to_host);
    ProbeServer on_host(net.host.netns);
    ProbeServer on_outside(net.outside);
    CHECK(reach_patiently(net.web.netns, "10.166.0.254", "fd00:a6::fe") == kAllOk);
    CHECK(reach(net.web.netns, kOutside4, kOutside6) == kNone);
    CHECK(net.count("not_for_outside") >= 6);
    net.stamp(netfilter::Stamp{}.published);
    CHECK(reach(net.web.netns, "10.166.0.254", "fd00:a6::fe") == kNone);
}

TEST_CASE("foreign packets carry no address of ours and no stamp") {
    Topology net;
    net.stamp(netfilter::Stamp{}.from_port);
    ProbeServer on_db(net.db.netns);
    // Routed to the container's address: not the guard's to decide (the program at the port does).
    CHECK(reach_patiently(net.outside, net.db.ip4, net.db.ip6) == kAllOk);
    {
        auto socket = must(net::NetlinkSocket::open(net.outside));
        const int index = must(net::get_link(socket, "far0")).index;
        for (const auto* address : {"10.166.7.7", "fd00:a6:0:7::7"})
            must(net::set_address(
                socket, index,
                interface_address(address, std::string(address)[0] == 'f' ? 128 : 32)));
        must(net::set_address(socket, index, interface_address("2001:db8:1::1", 128)));
    }
    const auto spoofed = net.count("spoofed");
    CHECK(attempt(net.outside, {"udp", net.db.ip4, "8080", "--from", "10.166.7.7"}) == "timeout");
    CHECK(attempt(net.outside, {"udp", net.db.ip6, "8080", "--from", "fd00:a6:0:7::7"}) ==
          "timeout");
    CHECK(net.count("spoofed") >= spoofed + 2);
    CHECK(on_db.log().find("10.166.7.7") == std::string::npos);
    CHECK(on_db.log().find("fd00:a6:0:7::7") == std::string::npos);

    must(run_nft(net.host.netns,
                 "table inet watch {\n"
                 "counter stamped { packets 0 bytes 0; }\n"
                 "counter other { packets 0 bytes 0; }\n"
                 "chain before {\n type filter hook prerouting priority -320\n"
                 "iifname \"up0\" meta mark set 0xf0f\n}\n"
                 "chain after {\n type filter hook prerouting priority -300\n"
                 "iifname \"up0\" meta mark & 0xf00 != 0 counter name stamped\n"
                 "iifname \"up0\" meta mark 0xf counter name other\n}\n}\n"));
    CHECK(attempt_patiently(net.outside, {"udp", net.db.ip4, "8080"}) == "ok");
    const auto seen = must(run_nft(net.host.netns, "list table inet watch"));
    CHECK(seen.find("counter stamped {\n\t\tpackets 0 bytes 0") != std::string::npos);
    CHECK(seen.find("counter other {\n\t\tpackets 0 bytes 0") == std::string::npos);
}

TEST_CASE("forwarding for others stops only where it was switched on for us") {
    Topology net;
    const auto third = must(NetnsRef::make());
    allow_ping(third);
    connect(net.host.netns, third,
            {"up1", "far1", interface_address("198.51.100.1", 24),
             interface_address("2001:db8:2::1", 64), interface_address("198.51.100.2", 24),
             interface_address("2001:db8:2::2", 64)});
    route(third, "far1", "198.51.100.1");
    route(third, "far1", "2001:db8:2::1");
    ProbeServer on_third(third);
    CHECK(reach_patiently(net.outside, "198.51.100.2", "2001:db8:2::2") == kAllOk);
    auto closed = guard_spec();
    closed.foreign = netfilter::ForeignForwarding::Dropped;
    must(net.guard->ensure(closed));
    CHECK(reach(net.outside, "198.51.100.2", "2001:db8:2::2") == kNone);
    CHECK(net.count("foreign") >= 6);
}

TEST_CASE("containers are not told to leave the gateway out") {
    Topology net;
    net.stamp(netfilter::Stamp{}.from_port);
    must(net::write_sysctls(net.host.netns, {{"ipv4/conf/all/send_redirects", "1"}}));
    ProbeServer on_db(net.db.netns);
    for (const auto& address : {net.db.ip6, net.db.ip4}) {
        CAPTURE(address);
        const auto before = net.count("redirects");
        for (int i = 0; i < 3; ++i)
            CHECK(attempt_patiently(net.web.netns, {"udp", address, "8080", "--count", "3"}) ==
                  "ok");
        CHECK(net.count("redirects") > before);
    }
}

TEST_CASE("changes by hand are seen and put right, and counts go on") {
    Topology net;
    CHECK(must(net.guard->verify()) == GuardState::Intact);
    CHECK(attempt(net.web.netns, {"icmp", "10.166.0.254"}) == "timeout");
    const auto counted = net.count("unstamped");
    CHECK(counted > 0);
    CHECK(must(net.guard->verify()) == GuardState::Intact);  // counting is no change
    for (const auto* damage :
         {"flush chain inet raind_guard input", "flush set inet raind_guard bridges",
          "insert rule inet raind_guard prerouting accept",
          "add element inet raind_guard pools4 { 192.0.2.0/24 }"}) {
        CAPTURE(damage);
        must(run_nft(net.host.netns, damage));
        CHECK(must(net.guard->verify()) == GuardState::Changed);
        must(net.guard->ensure(guard_spec()));
        CHECK(must(net.guard->verify()) == GuardState::Intact);
        CHECK(net.count("unstamped") >= counted);
    }
    must(run_nft(net.host.netns, "delete table inet raind_guard"));
    CHECK(must(net.guard->verify()) == GuardState::Absent);
    must(net.guard->ensure(guard_spec()));
    CHECK(attempt(net.web.netns, {"icmp", "10.166.0.254"}) == "timeout");
    // A second daemon, later: it takes the table over.
    auto second = must(Guard::open(net.host.netns));
    must(second->ensure(guard_spec()));
    CHECK(must(second->verify()) == GuardState::Intact);
}

TEST_CASE("each instance has its table, and removal leaves nothing") {
    TestHost host;
    auto guard = must(Guard::open(host.netns));
    CHECK(ruleset(host.netns).empty());
    auto named = guard_spec();
    named.instance = "a1";
    must(guard->ensure(guard_spec()));
    must(guard->ensure(named));
    CHECK(must(guard->other_tables("")) == std::vector<std::string>{"raind_guard_a1"});
    CHECK(ruleset(must(NetnsRef::current())).find("raind_guard_a1") == std::string::npos);
    must(guard->remove(""));
    CHECK(must(guard->other_tables("")) == std::vector<std::string>{"raind_guard_a1"});
    must(guard->remove("a1"));
    must(guard->remove("a1"));
    CHECK(ruleset(host.netns).empty());
    CHECK(must(guard->counters("")).empty());
}

TEST_CASE("killed at any moment, the table is whole or not there") {
    TestHost host;
    auto guard = must(Guard::open(host.netns));
    must(guard->ensure(guard_spec()));
    const auto whole =
        must(run_nft(host.netns, "list table inet raind_guard", netfilter::NftOutput::Stateless));
    for (int cut = 0; cut < 24; ++cut) {
        must(guard->remove(""));
        const pid_t child = ::fork();
        if (child == 0) {
            auto own = must(Guard::open(host.netns));
            must(own->ensure(guard_spec()));
            ::_exit(0);
        }
        ::usleep(static_cast<unsigned>(cut) * 300);
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        const auto now = ruleset(host.netns);
        if (!now.empty())
            CHECK(must(run_nft(host.netns, "list table inet raind_guard",
                               netfilter::NftOutput::Stateless)) == whole);
        auto next = must(Guard::open(host.netns));
        must(next->ensure(guard_spec()));
        CHECK(must(next->verify()) == GuardState::Intact);
    }
}
