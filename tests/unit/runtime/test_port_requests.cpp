#include <doctest/doctest.h>

#include "userspace/runtime/port_publisher.h"
#include "userspace/runtime/port_requests.h"

using namespace raind;
using namespace raind::runtime;

namespace {

core::ContainerRecord container(const char* name, const std::vector<std::string>& ports) {
    core::ContainerRecord out;
    out.id = name;
    out.name = name;
    out.identity = 300;
    out.ep_id = 7;
    out.ip4 = IpAddress::parse("10.166.0.1").value();
    out.ip6 = IpAddress::parse("fd00::1").value();
    out.options.ports = checked_ports(ports).value();
    return out;
}

}  // namespace

TEST_CASE("ports of one request do not meet") {
    CHECK(checked_ports({"80:1", "80:1/udp", "81:1"}).value().size() == 3);
    CHECK(checked_ports({"80:1", "127.0.0.1:80:2"}).error().message() ==
          "port 127.0.0.1:80/tcp is published twice");
    CHECK(checked_ports({"x"}).error().code() == Errc::InvalidArgument);
    CHECK(!checked_ports(std::vector<std::string>(kMaxPorts + 1, "80:1")).has_value());
}

TEST_CASE("a port of another container is refused, naming it") {
    const std::vector<core::ContainerRecord> others{container("web", {"8080:80"}),
                                                    container("dns", {"127.0.0.1:53:53/udp"})};
    CHECK(check_ports_free(checked_ports({"8081:80"}).value(), others).has_value());
    const auto refused = check_ports_free(checked_ports({"1:1", "53:53/udp"}).value(), others);
    CHECK(refused.error().code() == Errc::Conflict);
    CHECK(refused.error().message() == "port 53/udp is already published by \"dns\"");
}

TEST_CASE("one mapping for each family that it covers") {
    const auto ports =
        published_ports(container("web", {"8080:80", "192.0.2.1:1:2/udp", "[::]:3:4"}));
    REQUIRE(ports.size() == 4);
    CHECK(ports[0].address == IpAddress::v4(0));
    CHECK(ports[0].target.to_string() == "10.166.0.1");
    CHECK(ports[1].address == IpAddress());
    CHECK(ports[1].target.to_string() == "fd00::1");
    CHECK(ports[1].target_port == 80);
    CHECK(ports[2].protocol == 17);
    CHECK(ports[3].address.is_zero());
    for (const auto& port : ports) {
        CHECK(port.identity == 300);
        CHECK(port.ep_id == 7);
    }
    auto bare = container("v4", {"8080:80"});
    bare.ip6 = {};
    CHECK(published_ports(bare).size() == 1);
}

TEST_CASE("what is published, and whether 127.0.0.1 is meant") {
    PortPublisher publisher;
    publisher.publish(container("plain", {}));
    CHECK(publisher.published().empty());
    CHECK(!publisher.withdraw("plain"));
    publisher.publish(container("six", {"[::]:80:80"}));
    publisher.publish(container("one", {"192.0.2.1:80:80"}));
    CHECK(!publisher.on_loopback());
    publisher.publish(container("loop", {"127.0.0.1:81:80"}));
    CHECK(publisher.on_loopback());
    CHECK(publisher.published().size() == 3);
    CHECK(publisher.withdraw("loop"));
    CHECK(!publisher.on_loopback());
    CHECK(!publisher.withdraw("loop"));
    publisher.publish(container("any", {"82:80"}));
    CHECK(publisher.on_loopback());
}

TEST_CASE("a taken port is refused with its name, and held afterwards") {
    const auto netns = NetnsRef::current().value();
    PortPublisher first;
    PortPublisher second;
    // A free port of this host: the first of some that can be had.
    for (int port = 31000; port < 31200; ++port) {
        const auto text = "127.0.0.1:" + std::to_string(port) + ":80";
        const auto web = container("web", {text, text + "/udp"});
        if (!first.reserve(netns, web).has_value())
            continue;
        CHECK(first.reserve(netns, web).has_value());
        const auto refused = second.reserve(netns, container("late", {text + "/udp"}));
        REQUIRE(!refused.has_value());
        CHECK(refused.error().message() ==
              "port 127.0.0.1:" + std::to_string(port) + "/udp is in use by a process of the host");
        CHECK(!second.withdraw("late"));
        CHECK(first.withdraw("web"));
        CHECK(second.reserve(netns, web).has_value());
        const auto foreign = second.reserve(netns, container("far", {"192.0.2.77:1:1"}));
        CHECK(foreign.error().message().ends_with("192.0.2.77 is not an address of the host"));
        return;
    }
    FAIL("no port of 200 is free");
}
