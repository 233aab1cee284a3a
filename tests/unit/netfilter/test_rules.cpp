#include <doctest/doctest.h>

#include "userspace/netfilter/rules.h"

using namespace raind;
using namespace raind::netfilter;

namespace {

GuardSpec sample() {
    return {.bridges = {"raind0", "blue"},
            .pools = {Cidr::parse("10.166.0.0/16").value(), Cidr::parse("fd00::/48").value()}};
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the table is replaced in one transaction") {
    const auto text = replace_commands(sample(), {}).value();
    CHECK(
        text.starts_with("add table inet raind_guard\ndelete table inet raind_guard\n"
                         "table inet raind_guard {"));
    CHECK(has(text, "elements = { \"raind0\", \"blue\" }"));
    CHECK(has(text, "elements = { 10.166.0.0/16 }"));
    CHECK(has(text, "elements = { fd00::/48 }"));
    CHECK(has(text, "meta mark set meta mark & 0xfffff0ff"));
    CHECK(has(text, "meta mark & 0x00000d00 == 0 counter name \"unstamped\" drop"));
    CHECK(has(text, "meta mark & 0x00000c00 == 0 counter name \"not_for_host\" drop"));
    CHECK(has(text, "meta mark & 0x00000100 == 0 counter name \"not_for_outside\" drop"));
    CHECK(!has(text, "\"foreign\" drop"));
    CHECK(remove_commands("x1") ==
          "add table inet raind_guard_x1\n"
          "delete table inet raind_guard_x1\n");
}

TEST_CASE("options: instance, another stamp, foreign forwarding, nothing to guard yet") {
    auto spec = sample();
    spec.instance = "b2";
    spec.stamp = {.from_port = 1, .published = 2, .dns = 4, .to_host = 8};
    spec.foreign = ForeignForwarding::Dropped;
    auto text = replace_commands(spec, {}).value();
    CHECK(has(text, "table inet raind_guard_b2 {"));
    CHECK(has(text, "meta mark & 0xfffffff0"));
    CHECK(has(text, "meta mark & 0x0000000d == 0"));
    CHECK(has(text, "iifname != @bridges oifname != @bridges counter name \"foreign\" drop"));
    spec.bridges.clear();
    spec.pools.clear();
    text = replace_commands(spec, {}).value();
    CHECK(!has(text, "elements"));
}

TEST_CASE("published ports") {
    CHECK(!has(replace_commands(sample(), {}).value(), "chain publish"));
    auto spec = sample();
    const auto add = [&](const char* address, std::uint16_t port, std::uint8_t protocol,
                         const char* target) {
        spec.ports.push_back({.address = IpAddress::parse(address).value(),
                              .port = port,
                              .protocol = protocol,
                              .target = IpAddress::parse(target).value(),
                              .target_port = 80});
    };
    add("0.0.0.0", 8080, 6, "10.166.0.1");
    add("::", 8080, 17, "fd00::1");
    add("192.0.2.1", 9090, 6, "10.166.0.1");
    const auto text = replace_commands(spec, {}).value();
    CHECK(has(text, "map port_any4 {"));
    CHECK(has(text, "elements = { tcp . 8080 : 10.166.0.1 . 80 }"));
    CHECK(has(text, "elements = { udp . 8080 : fd00::1 . 80 }"));
    CHECK(has(text, "elements = { 192.0.2.1 . tcp . 9090 : 10.166.0.1 . 80 }"));
    // The stamp is for the very mapping.
    CHECK(has(text, "set tcp_any4 {"));
    CHECK(has(text, "elements = { 8080 . 10.166.0.1 . 80 }"));
    CHECK(has(text, "elements = { 192.0.2.1 . 9090 . 10.166.0.1 . 80 }"));
    CHECK(has(text,
              "ct status dnat meta l4proto tcp ct original ip daddr . ct original proto-dst . ip "
              "daddr . tcp dport @tcp4 counter name \"published\" meta mark set meta mark | "
              "0x00000200"));
    CHECK(!has(text, "@udp4"));
    CHECK(!has(text, "@port6"));
    // Containers only where a program has said so.
    CHECK(has(text, "iifname @bridges meta mark & 0x00000100 == 0 return\n        jump publish"));
    CHECK(has(text, "fib daddr type != local return"));
}

TEST_CASE("a published port that is none is refused") {
    const core::PublishedPort good{.address = IpAddress::v4(0),
                                   .port = 1,
                                   .protocol = 6,
                                   .target = IpAddress::v4(0x0aa60001),
                                   .target_port = 2};
    const auto with = [&](auto change) {
        auto spec = sample();
        spec.ports = {good};
        change(spec.ports[0]);
        return check_guard(spec).has_value();
    };
    CHECK(with([](core::PublishedPort&) {}));
    CHECK(!with([](core::PublishedPort& p) { p.port = 0; }));
    CHECK(!with([](core::PublishedPort& p) { p.target_port = 0; }));
    CHECK(!with([](core::PublishedPort& p) { p.protocol = 1; }));
    CHECK(!with([](core::PublishedPort& p) { p.target = IpAddress::v4(0); }));
    CHECK(!with([](core::PublishedPort& p) { p.target = IpAddress::parse("fd00::1").value(); }));
}

TEST_CASE("counts go on from the table that is replaced") {
    const auto text = replace_commands(sample(), {{"spoofed", 12, 3456}}).value();
    CHECK(has(text, "counter spoofed {\n        packets 12 bytes 3456\n"));
    CHECK(has(text, "counter unstamped {\n        packets 0 bytes 0\n"));
    for (const auto& name : counter_names())
        CHECK(has(text, "counter " + name + " {"));
}

TEST_CASE("what would be more than a name or a bit is refused") {
    for (const auto* bad : {"", "a b", "rd*", "x\" accept", "a;b c", "0123456789abcdef"}) {
        auto spec = sample();
        spec.bridges = {bad};
        CHECK(!replace_commands(spec, {}).has_value());
    }
    for (const auto* bad : {"A", "a-b", "a b", "x}"}) {
        auto spec = sample();
        spec.instance = bad;
        CHECK(!replace_commands(spec, {}).has_value());
    }
    auto spec = sample();
    spec.stamp.dns = spec.stamp.to_host;
    CHECK(!check_guard(spec).has_value());
    spec.stamp.dns = 0;
    CHECK(!check_guard(spec).has_value());
    spec.stamp.dns = 0x3000;
    CHECK(!check_guard(spec).has_value());
}
