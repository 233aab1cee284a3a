// Bridges and endpoints without any program: what the topology alone gives, and what it refuses.
#include <algorithm>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/net/fixture.h"

using namespace raind;
using namespace raind::test;
using net::kPortOfContainer;

namespace {

net::Link link_in(const NetnsRef& netns, const std::string& name) {
    auto socket = must(net::NetlinkSocket::open(netns));
    return must(net::get_link(socket, name));
}

// Tells a container who has an address, as its own root could.
void teach(const TestContainer& container, const IpAddress& address, const MacAddress& mac) {
    auto socket = must(net::NetlinkSocket::open(container.netns));
    must(net::set_neighbour(socket, {must(net::get_link(socket, "eth0")).index, address, mac}));
}

}  // namespace

TEST_CASE("a bridge is made as specified, and put right when it was changed") {
    TestHost host;
    auto link = link_in(host.netns, "raind0");
    CHECK(link.kind == "bridge");
    CHECK(link.up);
    CHECK(link.mac == host.bridge.mac);
    CHECK(!link.multicast_snooping);
    CHECK(!link.vlan_filtering);
    CHECK(!link.spanning_tree);
    CHECK(net::read_sysctl(host.netns, "ipv4/conf/raind0/send_redirects").value() == "0");
    CHECK(net::read_sysctl(host.netns, "ipv6/conf/raind0/accept_ra").value() == "0");

    auto socket = must(net::NetlinkSocket::open(host.netns));
    must(net::change_link(socket, link.index,
                          {.up = net::OnOff::Off, .mac = mac("02:00:00:00:00:99")}));
    must(net::set_address(socket, link.index, interface_address("10.9.9.9", 24)));
    must(host.network->ensure_bridge(host.bridge));
    link = link_in(host.netns, "raind0");
    CHECK(link.mac == host.bridge.mac);
    CHECK(link.up);
    const auto addresses = must(net::list_addresses(socket, link.index));
    CHECK(std::ranges::count(addresses, host.bridge.ip4) == 1);
    CHECK(std::ranges::count(addresses, *host.bridge.ip6) == 1);
    CHECK(std::ranges::count(addresses, interface_address("10.9.9.9", 24)) == 0);

    must(host.network->remove_bridge("raind0"));
    CHECK(!must(host.network->link("raind0")).has_value());
    must(host.network->remove_bridge("raind0"));
    CHECK(host.network->remove_bridge("lo").error().code() == Errc::Conflict);
}

TEST_CASE("an endpoint stays closed until its last step") {
    TestHost host;
    const auto port = host.port(1);
    const auto container = must(NetnsRef::make());
    const auto ifindex = must(host.network->create_endpoint(port));
    auto link = link_in(host.netns, port.interface);
    CHECK(static_cast<std::uint32_t>(link.index) == ifindex);
    CHECK(!link.up);
    CHECK(link.master == 0);
    // Without its port flags it does not go up.
    CHECK(!host.network->connect_endpoint(port, container).has_value());
    CHECK(!link_in(host.netns, port.interface).up);

    must(host.network->enslave_endpoint(port));
    link = link_in(host.netns, port.interface);
    CHECK(!link.up);
    CHECK(link.port == kPortOfContainer);
    CHECK(must(host.network->verify_endpoint(port)) == std::vector<std::string>{"down"});

    must(host.network->connect_endpoint(port, container));
    CHECK(must(host.network->verify_endpoint(port)).empty());
    const auto inside = link_in(container, "eth0");
    CHECK(inside.mac == port.mac);
    CHECK(inside.up);
    CHECK(link_in(container, "lo").up);
    auto socket = must(net::NetlinkSocket::open(container));
    const auto addresses = must(net::list_addresses(socket, inside.index));
    CHECK(std::ranges::count(addresses, port.ip4) == 1);
    CHECK(std::ranges::count(addresses, *port.ip6) == 1);
    CHECK(must(net::default_route_interface(socket, false)) == inside.index);
    CHECK(must(net::default_route_interface(socket, true)) == inside.index);
    CHECK(net::read_sysctl(container, "ipv6/conf/eth0/accept_ra").value() == "0");
    // The host end has no IPv6 address of its own.
    auto host_socket = must(net::NetlinkSocket::open(host.netns));
    CHECK(must(net::list_addresses(host_socket, link.index)).empty());
    // Up means in use: it is not made anew.
    CHECK(host.network->create_endpoint(port).error().code() == Errc::Conflict);
}

TEST_CASE("isolated ports do not reach each other, the same ports not isolated do") {
    TestHost host;
    TestContainer web(host, 1);
    TestContainer db(host, 2);
    teach(web, db.port.ip4.address, db.port.mac);
    teach(web, db.port.ip6->address, db.port.mac);
    teach(db, web.port.ip4.address, web.port.mac);
    teach(db, web.port.ip6->address, web.port.mac);
    ProbeServer server(db.netns);
    CHECK(reach(web.netns, db.ip4, db.ip6) == kNone);
    // The gateway answers (nothing guards it here), and the host reaches the container.
    CHECK(attempt_patiently(web.netns, {"icmp", "10.166.0.254"}) == "ok");
    CHECK(attempt_patiently(web.netns, {"icmp", "fd00:a6::fe"}) == "ok");
    CHECK(reach_patiently(host.netns, db.ip4, db.ip6) == kAllOk);

    auto socket = must(net::NetlinkSocket::open(host.netns));
    auto open_flags = kPortOfContainer;
    open_flags.isolated = false;
    for (const auto* name : {"rd_test1", "rd_test2"})
        must(net::set_port_flags(socket, must(net::get_link(socket, name)).index, open_flags));
    CHECK(reach_patiently(web.netns, db.ip4, db.ip6) == kAllOk);
    CHECK(must(host.network->verify_endpoint(web.port)) ==
          std::vector<std::string>{"port flags changed"});
    must(host.network->enslave_endpoint(web.port));
    must(host.network->enslave_endpoint(db.port));
    CHECK(must(host.network->verify_endpoint(web.port)).empty());
    CHECK(attempt(web.netns, {"tcp", db.ip4, "8080"}) == "timeout");
}

TEST_CASE("a container that changes its MAC address reaches nobody and moves no entry") {
    TestHost host;
    TestContainer web(host, 1);
    TestContainer db(host, 2);
    CHECK(attempt_patiently(web.netns, {"icmp", "10.166.0.254"}) == "ok");
    ProbeServer on_host(host.netns);
    auto socket = must(net::NetlinkSocket::open(web.netns));
    const int index = must(net::get_link(socket, "eth0")).index;
    for (const auto& claimed : {mac("02:00:00:00:00:77"), db.port.mac}) {
        must(net::change_link(socket, index, {.mac = claimed}));
        // The kernel forgets its neighbours with the old address.
        teach(web, host.bridge.ip4.address, host.bridge.mac);
        CHECK(attempt(web.netns, {"icmp", "10.166.0.254"}) == "timeout");
        // Not only is the answer lost: nothing comes in.
        CHECK(attempt(web.netns, {"udp", "10.166.0.254", "8080"}) == "timeout");
        CHECK(on_host.log().find("from") == std::string::npos);
        CHECK(must(host.network->verify_endpoint(db.port)).empty());
        CHECK(attempt_patiently(host.netns, {"icmp", db.ip4}) == "ok");
    }
    must(net::change_link(socket, index, {.mac = web.port.mac}));
    CHECK(attempt_patiently(web.netns, {"icmp", "10.166.0.254"}) == "ok");
}

TEST_CASE("removal leaves nothing and may be repeated") {
    TestHost host;
    auto socket = must(net::NetlinkSocket::open(host.netns));
    const auto before = must(net::list_links(socket)).size();
    const int bridge = link_in(host.netns, "raind0").index;
    {
        TestContainer web(host, 1);
        CHECK(must(net::list_permanent_neighbours(socket, bridge)).size() >= 2);
        CHECK(host.network->remove_bridge("raind0").error().code() == Errc::Conflict);
        must(host.network->down_endpoint(web.port.interface));
        CHECK(attempt(web.netns, {"icmp", "10.166.0.254"}) != "ok");
        must(host.network->remove_endpoint(web.port));
        must(host.network->down_endpoint(web.port.interface));
        must(host.network->remove_endpoint(web.port));
    }
    CHECK(must(net::list_links(socket)).size() == before);
    for (const auto& entry : must(net::list_permanent_neighbours(socket, bridge)))
        CHECK(entry.mac != host.port(1).mac);
    for (const auto& entry : must(net::list_forwarding_entries(socket, bridge)))
        CHECK(entry.mac != host.port(1).mac);
    CHECK(host.network->verify_endpoint(host.port(1)).error().code() == Errc::NotFound);
}

TEST_CASE("neighbours that a crash left behind are found and removed") {
    TestHost host;
    TestContainer web(host, 1);
    TestContainer db(host, 2);
    must(host.network->delete_link(db.port.interface));  // as if the record were gone
    must(host.network->keep_neighbours("raind0", {web.port.ip4.address, web.port.ip6->address}));
    auto socket = must(net::NetlinkSocket::open(host.netns));
    for (const auto& entry :
         must(net::list_permanent_neighbours(socket, link_in(host.netns, "raind0").index)))
        CHECK(entry.mac != db.port.mac);
    CHECK(must(host.network->verify_endpoint(web.port)).empty());
}

TEST_CASE("killed anywhere between the steps, a second run completes") {
    TestHost host;
    const auto port = host.port(1);
    for (int cut = 0; cut < 24; ++cut) {
        const auto container = must(NetnsRef::make());
        const auto all_steps = [&](bool start_fresh) {
            auto network = must(net::Network::open(host.netns));
            must(network->ensure_bridge(host.bridge));
            if (start_fresh)
                must(network->create_endpoint(port));
            must(network->enslave_endpoint(port));
            must(network->connect_endpoint(port, container));
        };
        const pid_t child = ::fork();
        if (child == 0) {
            all_steps(true);
            ::_exit(0);
        }
        ::usleep(static_cast<unsigned>(cut) * 400);
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        // A daemon that comes back goes on where the link says it was.
        const auto old = must(host.network->link(port.interface));
        all_steps(!old.has_value() || (!old->up && old->master == 0));
        CHECK(must(host.network->verify_endpoint(port)).empty());
        CHECK(attempt_patiently(container, {"icmp", "10.166.0.254"}) == "ok");
        CHECK(attempt_patiently(host.netns, {"icmp", "fd00:a6::1"}) == "ok");
        must(host.network->down_endpoint(port.interface));
        must(host.network->remove_endpoint(port));
    }
    CHECK(must(host.network->links_by_prefix("rd_")).empty());
}
