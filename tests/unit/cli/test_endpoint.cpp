#include <doctest/doctest.h>

#include "cli/endpoint.h"

using namespace raind::cli;  // NOLINT: one module under test

namespace {

std::string address(const std::string& text) {
    const auto endpoint = parse_host(text, Endpoint{});
    return endpoint ? endpoint->address() : "refused";
}

}  // namespace

TEST_CASE("addresses of a daemon") {
    CHECK(address("127.0.0.1") == "127.0.0.1:7755");
    CHECK(address("127.0.0.1:1") == "127.0.0.1:1");
    CHECK(address("localhost:65535") == "localhost:65535");
    CHECK(address("https://host.example/") == "host.example:7755");
    CHECK(address("https://host.example:99") == "host.example:99");
    CHECK(address("[::1]:99") == "[::1]:99");
    CHECK(address("[::1]") == "[::1]:7755");
    for (const char* const bad :
         {"", ":80", "a:", "a:0", "a:65536", "a:x", "http://a", "unix:///run/x", "[::1", "[::1]x",
          "a b", "user@host", "a:1:2", "a:+1"}) {
        CAPTURE(bad);
        CHECK(address(bad) == "refused");
    }
}

TEST_CASE("the machine's own instance is the default") {
    const auto endpoint = resolve_endpoint({});
    REQUIRE(endpoint.has_value());
    CHECK(endpoint->address() == "127.0.0.1:7755");
    CHECK(endpoint->ca_file == "/etc/raind/cert/raind.crt");
    CHECK(endpoint->cert_file == "/etc/raind/cert/raindClient.crt");
    CHECK(endpoint->key_file == "/etc/raind/cert/raindClient.key");
    const auto other = resolve_endpoint({.host = "h:5", .root = "/srv/x"});
    REQUIRE(other.has_value());
    CHECK(other->address() == "h:5");
    CHECK(other->key_file == "/srv/x/etc/raind/cert/raindClient.key");
}
