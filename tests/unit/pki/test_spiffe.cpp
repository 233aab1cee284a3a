#include <doctest/doctest.h>

#include "userspace/pki/spiffe.h"

using raind::pki::SpiffeId;
using raind::pki::SpiffePrefix;

TEST_CASE("a canonical id is taken apart") {
    const auto id = SpiffeId::parse("spiffe://raind/cli/admin");
    REQUIRE(id.has_value());
    CHECK(id->trust_domain() == "raind");
    CHECK(id->segments() == std::vector<std::string>{"cli", "admin"});
    CHECK(id->str() == "spiffe://raind/cli/admin");
}

TEST_CASE("everything that is not canonical is refused") {
    using namespace std::string_view_literals;
    for (const std::string_view text : {""sv,
                                        "spiffe:"sv,
                                        "spiffe://"sv,
                                        "spiffe://raind"sv,
                                        "spiffe://raind/"sv,
                                        "spiffe:///cli"sv,
                                        "SPIFFE://raind/cli/admin"sv,
                                        "spiffe://Raind/cli/admin"sv,
                                        "https://raind/cli/admin"sv,
                                        "spiffe://raind:1/cli"sv,
                                        "spiffe://u@raind/cli"sv,
                                        "spiffe://raind//cli/admin"sv,
                                        "spiffe://raind/cli/admin/"sv,
                                        "spiffe://raind/cli/../admin"sv,
                                        "spiffe://raind/./cli"sv,
                                        "spiffe://raind/cli/%61"sv,
                                        "spiffe://raind/cli/a?x=1"sv,
                                        "spiffe://raind/cli/a#f"sv,
                                        " spiffe://raind/cli/a"sv,
                                        "spiffe://raind/cli/admin\0x"sv,
                                        "spiffe://raind/cli/a b"sv,
                                        "spiffe://raind/cli/\xc3\xa4"sv}) {
        CAPTURE(std::string(text));
        CHECK_FALSE(SpiffeId::parse(text).has_value());
    }
    CHECK_FALSE(SpiffeId::parse("spiffe://raind/" + std::string(3000, 'a')).has_value());
}

TEST_CASE("prefixes compare whole segments") {
    const auto accepts = [](std::string_view prefix, std::string_view id) {
        return SpiffePrefix::parse(prefix)->accepts(*SpiffeId::parse(id));
    };
    CHECK(accepts("spiffe://raind/cli/", "spiffe://raind/cli/admin"));
    CHECK(accepts("spiffe://raind/cli/", "spiffe://raind/cli/team/a"));
    CHECK_FALSE(accepts("spiffe://raind/cli/", "spiffe://raind/cli"));
    CHECK_FALSE(accepts("spiffe://raind/cli/", "spiffe://raind/client/admin"));
    CHECK_FALSE(accepts("spiffe://raind/cli/", "spiffe://other/cli/admin"));
    CHECK_FALSE(accepts("spiffe://raind/cli/", "spiffe://raind/droplet/container"));
    CHECK(accepts("spiffe://raind/container", "spiffe://raind/container"));
    CHECK(accepts("spiffe://raind/container", "spiffe://raind/container/01kx"));
    CHECK_FALSE(accepts("spiffe://raind/container", "spiffe://raind/containers/01kx"));
    CHECK_FALSE(SpiffePrefix::parse("spiffe://raind").has_value());
}
