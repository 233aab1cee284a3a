#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "userspace/core/ipam.h"

using namespace raind;
using namespace raind::core;

namespace {

AddressPlan plan() {
    AddressPlan result;
    result.ula = {0x12, 0x34, 0x56, 0x78, 0x9a};
    return result;
}

// What the store does: keeps one record per address, the newest wins.
struct Network {
    PoolRecord pool = make_pool(plan(), 0, "raind0", MacAddress{});
    std::vector<AddressAllocation> records;

    std::string take(const std::string& id, std::int64_t now = 1) {
        const auto got = next_address(pool, records, id, WallTime{now});
        if (!got)
            return got.error().message();
        for (AddressAllocation& record : records)
            if (record.ip4 == got->ip4) {
                record = *got;
                return got->ip4.to_string();
            }
        records.push_back(*got);
        return got->ip4.to_string();
    }
    void give_back(const std::string& id, std::int64_t now) {
        for (AddressAllocation& record : records)
            if (record.container_id == id)
                record = released(record, WallTime{now});
    }
};

}  // namespace

TEST_CASE("networks have the documented addresses in both families") {
    const PoolRecord first = make_pool(plan(), 0, "raind0", MacAddress{});
    CHECK(first.subnet4.to_string() == "10.166.0.0/24");
    CHECK(first.gateway4.to_string() == "10.166.0.254");
    CHECK(first.subnet6.to_string() == "fd12:3456:789a::/64");
    CHECK(first.gateway6.to_string() == "fd12:3456:789a::fe");
    const PoolRecord other = make_pool(plan(), 16, "b", MacAddress{});
    CHECK(other.subnet4.to_string() == "10.166.16.0/24");
    CHECK(other.subnet6.to_string() == "fd12:3456:789a:10::/64");
    CHECK(other.gateway6.to_string() == "fd12:3456:789a:10::fe");
    CHECK(runtime_subnet4(plan()).to_string() == "10.166.0.0/16");
    CHECK(runtime_subnet6(plan()).to_string() == "fd12:3456:789a::/48");
    CHECK(runtime_subnet6(plan()).contains(other.subnet6));
}

TEST_CASE("container addresses ascend from .1, with the IPv4 octet in hexadecimal as host") {
    Network network;
    CHECK(network.take("a") == "10.166.0.1");
    for (int i = 2; i <= 16; ++i)
        network.take("c" + std::to_string(i));
    CHECK(network.records.back().ip4.to_string() == "10.166.0.16");
    CHECK(network.records.back().ip6.to_string() == "fd12:3456:789a::10");
    CHECK(network.records.back().interface == "raind0");
}

TEST_CASE("never-used addresses come first, then the longest-released") {
    Network network;
    for (int host = 1; host <= 3; ++host)
        network.take("c" + std::to_string(host));
    network.give_back("c2", 10);
    network.give_back("c1", 20);
    CHECK(network.take("next") == "10.166.0.4");
    for (int host = 5; host <= 253; ++host)
        REQUIRE(network.take("c" + std::to_string(host)) == "10.166.0." + std::to_string(host));
    CHECK(network.take("second use") == "10.166.0.2");
    CHECK(network.take("third use") == "10.166.0.1");
    CHECK(network.take("one more") == "no address of raind0 is left");
    network.give_back("c253", 30);
    CHECK(network.take("one more") == "10.166.0.253");
}

TEST_CASE("allocation may be repeated, but only on one network") {
    Network network;
    CHECK(network.take("a") == network.take("a"));
    CHECK(network.records.size() == 1);
    const PoolRecord other = make_pool(plan(), 1, "other", MacAddress{});
    CHECK(next_address(other, network.records, "a", WallTime{}).error().code() == Errc::Conflict);
    network.give_back("a", 5);
    CHECK(network.records[0].released_at.ns == 5);
    CHECK(next_address(other, network.records, "a", WallTime{}).value().ip4.to_string() ==
          "10.166.1.1");
}

TEST_CASE("network numbers: the lowest free, never the DNS proxy's") {
    std::vector<PoolRecord> pools;
    for (std::uint32_t i = 0; i < 255; ++i) {
        pools.push_back(next_pool(plan(), pools, "b" + std::to_string(i), MacAddress{}).value());
        REQUIRE(pools.back().number == (i < 254 ? i : 255));
    }
    CHECK(next_pool(plan(), pools, "more", MacAddress{}).error().code() == Errc::Exhausted);
    CHECK(next_pool(plan(), pools, "b7", MacAddress{}).error().code() == Errc::AlreadyExists);
    pools.erase(pools.begin() + 7);
    CHECK(next_pool(plan(), pools, "again", MacAddress{}).value().number == 7);
}

TEST_CASE("MACs are local and unicast") {
    for (std::uint64_t random : {0ULL, ~0ULL, 0x0123456789abULL})
        CHECK((local_mac(random).bytes[0] & 0x03) == 0x02);
    CHECK(local_mac(0x0100) != local_mac(0x0200));
}
