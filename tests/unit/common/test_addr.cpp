#include <doctest/doctest.h>

#include "userspace/common/addr.h"

using namespace raind;

TEST_CASE("an IPv4 address is held as v4-mapped and printed as IPv4") {
    const auto address = IpAddress::parse("10.166.0.1");
    REQUIRE(address.has_value());
    CHECK(address->is_v4());
    CHECK(address->v4_host_order() == 0x0aa60001);
    CHECK(address->bytes()[10] == 0xff);
    CHECK(address->to_string() == "10.166.0.1");
    CHECK(*address == IpAddress::v4(0x0aa60001));
}

TEST_CASE("IPv6 round trip and refusals") {
    CHECK(IpAddress::parse("fd00::1")->to_string() == "fd00::1");
    for (const char* text : {"", "10.0.0", "10.0.0.256", "fd00::g", "10.0.0.1 ", "1.2.3.4.5"})
        CHECK_FALSE(IpAddress::parse(text).has_value());
}

TEST_CASE("unspecified is the zero of either family") {
    CHECK(IpAddress::parse("0.0.0.0")->is_unspecified());
    CHECK(IpAddress::parse("::")->is_unspecified());
    for (const char* text : {"0.0.0.1", "::1", "127.0.0.1"})
        CHECK_FALSE(IpAddress::parse(text)->is_unspecified());
}

TEST_CASE("prefixes clear host bits and never cover the other family") {
    const auto cidr = Cidr::parse("10.166.3.77/16");
    REQUIRE(cidr.has_value());
    CHECK(cidr->to_string() == "10.166.0.0/16");
    CHECK(cidr->contains(*IpAddress::parse("10.166.255.1")));
    CHECK_FALSE(cidr->contains(*IpAddress::parse("10.167.0.1")));
    CHECK_FALSE(Cidr::parse("::/0")->contains(*IpAddress::parse("10.0.0.1")));
    CHECK_FALSE(Cidr::parse("0.0.0.0/0")->contains(*IpAddress::parse("fd00::1")));
    CHECK(Cidr::parse("0.0.0.0/0")->contains(*IpAddress::parse("255.1.2.3")));
    CHECK(Cidr::parse("fd00::/8")->contains(*Cidr::parse("fd12::/64")));
    CHECK(Cidr::parse("192.0.2.1")->length() == 32);
    for (const char* text : {"10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1"})
        CHECK_FALSE(Cidr::parse(text).has_value());
}

TEST_CASE("MAC addresses") {
    CHECK(MacAddress::parse("02:00:5e:10:00:ff")->to_string() == "02:00:5e:10:00:ff");
    for (const char* text : {"", "02:00:5e:10:00", "02-00-5e-10-00-ff", "02:00:5e:10:00:fg"})
        CHECK_FALSE(MacAddress::parse(text).has_value());
}
