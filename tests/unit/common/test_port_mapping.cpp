#include <doctest/doctest.h>

#include "userspace/common/port_mapping.h"

using namespace raind;

namespace {

PortMapping port(std::string_view text) {
    return PortMapping::parse(text).value();
}

std::string error(std::string_view text) {
    const auto parsed = PortMapping::parse(text);
    REQUIRE_MESSAGE(!parsed.has_value(), text);
    return parsed.error().message();
}

}  // namespace

TEST_CASE("what a user may write") {
    CHECK(port("8080:80").to_string() == "8080:80/tcp");
    CHECK(port("8080:80/udp").to_string() == "8080:80/udp");
    CHECK(port("8080:80:udp").to_string() == "8080:80/udp");
    CHECK(port("127.0.0.1:8080:80").to_string() == "127.0.0.1:8080:80/tcp");
    CHECK(port("0.0.0.0:65535:1/tcp").to_string() == "0.0.0.0:65535:1/tcp");
    CHECK(port("[::]:8080:80").to_string() == "[::]:8080:80/tcp");
    CHECK(port("[2001:db8::1]:8080:80:udp").to_string() == "[2001:db8::1]:8080:80/udp");
    for (const auto* text : {"8080:80/tcp", "127.0.0.1:8080:80/udp", "[2001:db8::1]:1:2/tcp"}) {
        CHECK(port(text).to_string() == text);
        CHECK(port(port(text).to_string()) == port(text));
    }
    CHECK(!port("8080:80").address.has_value());
    CHECK(port("[2001:db8::1]:8080:80").host_side() == "[2001:db8::1]:8080/tcp");
}

TEST_CASE("what is refused, with its reason") {
    for (const auto* text : {"",
                             ":",
                             "80",
                             "80:",
                             ":80",
                             "0:80",
                             "80:0",
                             "65536:80",
                             "80:65536",
                             "-1:80",
                             "+1:80",
                             "8o:80",
                             " 80:80",
                             "80:80 ",
                             "1:2:3:4",
                             "80:80:tcp:x",
                             "80:80:tcp/tcp",
                             "80-90:80-90",
                             "::1:80:80",
                             "[::1:80:80",
                             "[]:80:80",
                             "[127.0.0.1]:80:80",
                             "127.0.0:80:80",
                             "300.0.0.1:80:80",
                             "host.example:80:80",
                             "[fe80::1%eth0]:80:80"}) {
        CAPTURE(text);
        CHECK(error(text).starts_with("invalid -p,--publish format: "));
        CHECK(error(text).ends_with("required format: [ADDRESS:]HOST:CONTAINER[/PROTOCOL]"));
    }
    CHECK(error("80:80/sctp") == "cannot publish 80:80/sctp: the protocol is tcp or udp");
    CHECK(error("80:80/") == "cannot publish 80:80/: the protocol is tcp or udp");
    CHECK(error("80:80:icmp").ends_with("the protocol is tcp or udp"));
    CHECK(error("[::1]:80:80").find("127.0.0.1") != std::string::npos);
    for (const auto* text : {"224.0.0.1:80:80", "255.255.255.255:80:80", "[ff02::1]:80:80"})
        CHECK(error(text).ends_with("not the address of one host"));
    CHECK(error("[fe80::1]:80:80").ends_with("link-local addresses cannot be published on"));
    CHECK(error("\x1b[2J:80:80").find('\x1b') == std::string::npos);
}

TEST_CASE("two ports that cannot both be had") {
    const auto overlap = [](const char* a, const char* b) {
        CHECK(port(a).overlaps(port(b)) == port(b).overlaps(port(a)));
        return port(a).overlaps(port(b));
    };
    CHECK(overlap("80:1", "80:2"));
    CHECK(overlap("80:1", "127.0.0.1:80:2"));
    CHECK(overlap("80:1", "[2001:db8::1]:80:2"));
    CHECK(overlap("0.0.0.0:80:1", "127.0.0.1:80:1"));
    CHECK(overlap("[::]:80:1", "[2001:db8::1]:80:1"));
    CHECK(overlap("192.0.2.1:80:1", "192.0.2.1:80:2"));
    CHECK(!overlap("192.0.2.1:80:1", "192.0.2.2:80:1"));
    CHECK(!overlap("0.0.0.0:80:1", "[::]:80:1"));
    CHECK(!overlap("80:1", "80:1/udp"));
    CHECK(!overlap("80:1", "81:1"));
}
