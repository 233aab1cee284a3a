// Published ports of the guard table without any program: stamps are set by a table of the test.
#include <algorithm>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "tests/bpf/packet_builder.h"
#include "tests/net/guard_net.h"
#include "userspace/netfilter/connections.h"

using namespace raind;
using namespace raind::test;
using netfilter::GuardSpec;
using netfilter::run_nft;

namespace {

const char* const kGateway4 = "10.166.0.254";
const char* const kGateway6 = "fd00:a6::fe";

core::PublishedPort published(const char* address, std::uint16_t port, std::uint8_t protocol,
                              const std::string& target) {
    return {.address = must(IpAddress::parse(address)),
            .port = port,
            .protocol = protocol,
            .target = must(IpAddress::parse(target)),
            .target_port = 8080};
}

// 9000 is web:8080 on every address.
struct Topology : GuardNet {
    GuardSpec spec = guard_spec();

    Topology() {
        must(host.network->bring_loopback_up());
        for (const std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}}) {
            spec.ports.push_back(published("0.0.0.0", 9000, protocol, web.ip4));
            spec.ports.push_back(published("::", 9000, protocol, web.ip6));
        }
        must(guard->ensure(spec));
        must(net::write_sysctls(host.netns, {{"ipv4/conf/raind0/route_localnet", "1"}}));
        // The programs hand packets to the bridge's IP; here they come through its ports, where
        // bridge netfilter would translate them too early.
        must(net::write_sysctls(host.netns, {{"bridge/bridge-nf-call-iptables", "0", true},
                                             {"bridge/bridge-nf-call-ip6tables", "0", true}}));
    }
};

using Words = std::vector<std::string>;

// "ok ok ok ok": tcp and udp, IPv4 and IPv6.
std::string by_port(const NetnsRef& from, const char* ip4, const char* ip6, const char* port) {
    std::string out;
    for (const char* address : {ip4, ip6})
        for (const char* kind : {"tcp", "udp"})
            out += attempt_patiently(from, Words{kind, address, port}) + " ";
    return out;
}

// A frame as a container's root could put it on its wire.
void send_frame(const TestContainer& container, const std::vector<std::uint8_t>& frame) {
    must(run_in_netns(container.netns, [&]() -> Status {
        const UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_ifindex = static_cast<int>(::if_nametoindex("eth0"));
        if (!fd || ::sendto(fd.get(), frame.data(), frame.size(), 0,
                            reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
            return os_error("send");
        return {};
    }));
}

}  // namespace

TEST_CASE("outside and host reach a published port by every address, with the stamp") {
    Topology net;
    net.stamp(netfilter::Stamp{}.to_host | netfilter::Stamp{}.from_port);
    ProbeServer on_web(net.web.netns);
    must(run_nft(net.host.netns,
                 "table inet watch {\ncounter good { }\ncounter bad { }\n"
                 "chain forward {\ntype filter hook forward priority 0\n"
                 "iifname \"up0\" oifname \"raind0\" meta mark & 0xf00 == 0x200 counter name good\n"
                 "iifname \"up0\" oifname \"raind0\" meta mark & 0xf00 != 0x200 counter name bad\n"
                 "}\n}\n"));
    CHECK(by_port(net.outside, kHost4, kHost6, "9000") == "ok ok ok ok ");
    const auto watched = must(run_nft(net.host.netns, "list table inet watch"));
    CHECK(watched.find("counter good {\n\t\tpackets 0 ") == std::string::npos);
    CHECK(watched.find("counter bad {\n\t\tpackets 0 ") != std::string::npos);
    CHECK(on_web.log().find("tcp from 192.0.2.2 ") != std::string::npos);
    CHECK(on_web.log().find("udp from 2001:db8::2 ") != std::string::npos);
    CHECK(by_port(net.host.netns, kHost4, kHost6, "9000") == "ok ok ok ok ");
    CHECK(by_port(net.host.netns, kGateway4, kGateway6, "9000") == "ok ok ok ok ");
    CHECK(attempt_patiently(net.host.netns, {"tcp", "127.0.0.1", "9000"}) == "ok");
    CHECK(attempt_patiently(net.host.netns, {"udp", "127.0.0.1", "9000"}) == "ok");
    CHECK(on_web.log().find(std::string("tcp from ") + kGateway4) != std::string::npos);
    CHECK(attempt(net.host.netns, {"tcp", "::1", "9000"}) == "refused");
    // Every other port is the host's own.
    CHECK(attempt(net.outside, {"tcp", kHost4, "8080"}) == "refused");
}

TEST_CASE("on one address only") {
    Topology net;
    net.stamp(netfilter::Stamp{}.to_host | netfilter::Stamp{}.from_port);
    ProbeServer on_web(net.web.netns);
    net.spec.ports = {published(kHost4, 9001, 6, net.web.ip4),
                      published(kHost6, 9002, 17, net.web.ip6),
                      published("127.0.0.1", 9003, 6, net.web.ip4)};
    must(net.guard->ensure(net.spec));
    CHECK(attempt_patiently(net.outside, {"tcp", kHost4, "9001"}) == "ok");
    CHECK(attempt_patiently(net.outside, {"udp", kHost6, "9002"}) == "ok");
    CHECK(attempt_patiently(net.host.netns, {"tcp", "127.0.0.1", "9003"}) == "ok");
    CHECK(attempt(net.outside, {"tcp", kHost6, "9001"}) == "refused");
    CHECK(attempt(net.outside, {"tcp", kHost4, "9003"}) == "refused");
    CHECK(attempt(net.host.netns, {"tcp", kGateway4, "9001"}) == "refused");
    CHECK(attempt(net.outside, {"tcp", kHost4, "9000"}) == "refused");
}

TEST_CASE("containers are translated only where a program has said so") {
    Topology net;
    ProbeServer on_web(net.web.netns);
    for (const auto stamp : {netfilter::Stamp{}.to_host, netfilter::Stamp{}.published}) {
        net.stamp(stamp);
        for (const char* address : {kHost4, kHost6, kGateway4, kGateway6})
            CHECK(attempt(net.db.netns, {"tcp", address, "9000"}) != "ok");
    }
    CHECK(on_web.log().find("from") == std::string::npos);
    net.stamp(netfilter::Stamp{}.from_port);
    for (const char* address : {kHost4, kHost6, kGateway4, kGateway6})
        CHECK(attempt_patiently(net.db.netns, {"tcp", address, "9000"}) == "ok");
    CHECK(on_web.log().find("tcp from " + net.db.ip4) != std::string::npos);
}

TEST_CASE("the bridge routes 127.0.0.1, and no container has it from that") {
    Topology net;
    net.stamp(0xd00);
    ProbeServer on_host(net.host.netns);
    const auto dropped = net.count("loopback");
    const auto frame = [&](const char* source) {
        return testing::PacketBuilder()
            .eth(net.web.port.mac, net.host.bridge.mac)
            .from(must(IpAddress::parse(source)))
            .to(must(IpAddress::parse("127.0.0.1")))
            .udp(40000, 8080)
            .payload(8)
            .build();
    };
    send_frame(net.web, frame(net.web.ip4.c_str()));
    send_frame(net.web, frame("127.0.0.1"));
    CHECK(attempt_patiently(net.host.netns, {"udp", "127.0.0.1", "8080"}) == "ok");
    CHECK(net.count("loopback") == dropped + 2);
    CHECK(on_host.log().find(net.web.ip4) == std::string::npos);
}

TEST_CASE("a connection that outlives its port has no stamp, and is forgotten") {
    Topology net;
    net.stamp(netfilter::Stamp{}.from_port);
    ProbeServer on_web(net.web.netns);
    const Words question{"udp", kHost4, "9000", "--source-port", "41000"};
    CHECK(attempt_patiently(net.outside, question) == "ok");
    const auto stamped = net.count("published");
    CHECK(stamped != 0);
    auto spec = net.spec;
    // The port is another container's now; the kernel's memory still leads to this one.
    for (auto& port : spec.ports)
        port.target = must(IpAddress::parse(port.address.is_v4() ? net.db.ip4 : net.db.ip6));
    must(net.guard->ensure(spec));
    CHECK(attempt_patiently(net.outside, question) == "ok");
    CHECK(net.count("published") == stamped);
    CHECK(must(netfilter::forget_connections(net.host.netns,
                                             {must(IpAddress::parse(net.db.ip4))})) == 0);
    CHECK(must(netfilter::forget_connections(net.host.netns,
                                             {must(IpAddress::parse(net.web.ip4))})) == 1);
    ProbeServer on_db(net.db.netns);
    CHECK(attempt_patiently(net.outside, question) == "ok");
    CHECK(on_db.log().find("udp from 192.0.2.2 ") != std::string::npos);
    CHECK(net.count("published") > stamped);
}
