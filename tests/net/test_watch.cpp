// Own addresses, notifications, sysctls and forwarding of a namespace.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <doctest/doctest.h>
#include <mutex>

#include "tests/net/fixture.h"
#include "userspace/net/monitor.h"

using namespace raind;
using namespace raind::test;
using net::OwnKind;

namespace {

bool has_own(const std::vector<net::OwnAddress>& all, const char* prefix, OwnKind kind) {
    const auto wanted = must(Cidr::parse(prefix));
    return std::ranges::any_of(
        all, [&](const auto& item) { return item.prefix == wanted && item.kind == kind; });
}

// Gathers notifications; wait() is true when the condition came true within five seconds.
struct Gathered {
    std::mutex mutex;
    std::condition_variable changed;
    net::NetworkChange sum;
    void take(const net::NetworkChange& change) {
        const std::lock_guard lock(mutex);
        sum.addresses = sum.addresses || change.addresses;
        sum.links = sum.links || change.links;
        sum.removed_links.insert(sum.removed_links.end(), change.removed_links.begin(),
                                 change.removed_links.end());
        changed.notify_all();
    }
    template <typename F>
    bool wait(F&& condition, std::chrono::milliseconds limit = std::chrono::seconds(5)) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, limit, [&] { return condition(sum); });
    }
};

}  // namespace

TEST_CASE("own addresses are local, broadcast and anycast ones of both families") {
    TestHost host;
    must(host.network->enable_forwarding_own());
    auto own = must(host.network->own_addresses());
    CHECK(has_own(own, "10.166.0.254/32", OwnKind::Local));
    CHECK(has_own(own, "fd00:a6::fe/128", OwnKind::Local));
    TestContainer web(host, 1);  // the bridge has a carrier now
    own = must(host.network->own_addresses());
    CHECK(has_own(own, "10.166.0.255/32", OwnKind::Broadcast));
    CHECK(has_own(own, "fd00:a6::/128", OwnKind::Anycast));
    CHECK(!has_own(own, "10.166.0.1/32", OwnKind::Local));
    // An address given a moment ago is there at once.
    auto socket = must(net::NetlinkSocket::open(host.netns));
    const auto bridge = must(net::get_link(socket, "raind0"));
    must(net::set_address(socket, bridge.index, interface_address("192.0.2.7", 29)));
    own = must(host.network->own_addresses());
    CHECK(has_own(own, "192.0.2.7/32", OwnKind::Local));
    CHECK(has_own(own, "192.0.2.7/32", OwnKind::Broadcast));
}

TEST_CASE("the monitor tells of addresses and of links that go") {
    TestHost host;
    Gathered gathered;
    auto monitor = must(net::NetworkMonitor::start(
        host.netns, [&](const net::NetworkChange& change) { gathered.take(change); }));
    auto socket = must(net::NetlinkSocket::open(host.netns));
    const auto bridge = must(net::get_link(socket, "raind0"));
    must(net::set_address(socket, bridge.index, interface_address("192.0.2.7", 32)));
    CHECK(gathered.wait([](const auto& sum) { return sum.addresses; }));
    must(host.network->create_endpoint(host.port(1)));
    must(host.network->enslave_endpoint(host.port(1)));
    CHECK(gathered.wait([](const auto& sum) { return sum.links; }));
    // Joining a bridge is no removal.
    CHECK(!gathered.wait([](const auto& sum) { return !sum.removed_links.empty(); },
                         std::chrono::milliseconds(200)));
    must(host.network->delete_link("rd_test1"));
    CHECK(gathered.wait(
        [](const auto& sum) { return std::ranges::count(sum.removed_links, "rd_test1") == 1; }));
    monitor.reset();  // returns: the thread has ended
}

TEST_CASE("sysctls give back what they changed and put it back when one fails") {
    const auto netns = must(NetnsRef::make());
    const auto mine = must(net::read_sysctl(must(NetnsRef::current()), "ipv4/ip_default_ttl"));
    const auto former = must(net::write_sysctls(
        netns, {{"ipv4/ip_default_ttl", "77"}, {"ipv4/no_such_file", "1", true}}));
    REQUIRE(former.size() == 1);
    CHECK(former[0].path == "ipv4/ip_default_ttl");
    CHECK(must(net::read_sysctl(netns, "ipv4/ip_default_ttl")) == "77");
    CHECK(must(net::read_sysctl(must(NetnsRef::current()), "ipv4/ip_default_ttl")) == mine);
    CHECK(must(net::write_sysctls(netns, {{"ipv4/ip_default_ttl", "77"}})).empty());
    CHECK(!net::write_sysctls(netns, {{"ipv4/ip_default_ttl", "78"}, {"ipv4/no_such_file", "1"}})
               .has_value());
    CHECK(must(net::read_sysctl(netns, "ipv4/ip_default_ttl")) == "77");
    must(net::write_sysctls(netns, former));
    CHECK(must(net::read_sysctl(netns, "ipv4/ip_default_ttl")) == former[0].value);
    CHECK(!net::read_sysctl(netns, "../kernel/hostname").has_value());
}

TEST_CASE("forwarding on a shared host keeps router advertisements on the uplinks") {
    TestHost host;
    const auto other = must(NetnsRef::make());
    connect(
        host.netns, other,
        {"up0", "far0", interface_address("192.0.2.1", 24), interface_address("2001:db8::1", 64),
         interface_address("192.0.2.2", 24), interface_address("2001:db8::2", 64)});
    must(net::write_sysctls(host.netns, {{"ipv6/conf/up0/accept_ra", "1"}}));
    CHECK(!must(host.network->forwarding()).ip4);
    const auto former = must(host.network->enable_forwarding_shared());
    CHECK(must(host.network->forwarding()).ip4);
    CHECK(must(host.network->forwarding()).ip6);
    CHECK(must(net::read_sysctl(host.netns, "ipv6/conf/up0/accept_ra")) == "2");
    CHECK(must(net::read_sysctl(host.netns, "ipv6/conf/raind0/accept_ra")) == "0");
    must(net::write_sysctls(host.netns, former));
    CHECK(!must(host.network->forwarding()).ip4);
    CHECK(must(net::read_sysctl(host.netns, "ipv6/conf/up0/accept_ra")) == "1");
}
