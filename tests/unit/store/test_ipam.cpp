#include "tests/unit/store/fixture.h"
#include "userspace/store/ipam.h"

using namespace raind;
using namespace raind::store;
using test::Fixture;

namespace {

core::AddressAllocation address(const char* ip4, const char* container) {
    return {"raind0", *IpAddress::parse(ip4), {}, container, {10}, {}};
}

}  // namespace

TEST_CASE("a pool comes back, and its interface, prefix and number have one owner") {
    Fixture f;
    auto& ipam = f.store->ipam();
    REQUIRE(ipam.insert_pool(test::pool()).has_value());
    const auto out = **ipam.find_pool("raind0");
    CHECK(out.subnet4 == test::pool().subnet4);
    CHECK(out.gateway4 == test::pool().gateway4);
    CHECK(out.subnet6 == test::pool().subnet6);
    CHECK(out.gateway6 == test::pool().gateway6);
    CHECK(out.mac == test::pool().mac);
    CHECK(ipam.insert_pool(test::pool()).error().code() == Errc::AlreadyExists);
    core::PoolRecord other = test::pool();
    other.interface = "raind1";
    CHECK(ipam.insert_pool(other).error().code() == Errc::AlreadyExists);
    other.subnet4 = *Cidr::parse("10.166.1.0/24");
    CHECK(ipam.insert_pool(other).error().code() == Errc::AlreadyExists);
    other.number = 1;
    CHECK(ipam.insert_pool(other).has_value());
    other.mac = {};
    CHECK(ipam.update_pool(other).has_value());
    CHECK(ipam.pools()->size() == 2);
    CHECK_FALSE(ipam.find_pool("absent")->has_value());
    other.interface = "absent";
    CHECK(ipam.update_pool(other).error().code() == Errc::NotFound);
}

TEST_CASE("an address has one owner, and its release is kept") {
    Fixture f;
    auto& ipam = f.store->ipam();
    REQUIRE(ipam.insert_pool(test::pool()).has_value());
    REQUIRE(ipam.assign(address("10.166.0.1", "a")).has_value());
    CHECK(ipam.assign(address("10.166.0.1", "b")).error().code() == Errc::AlreadyExists);
    CHECK(ipam.assign(address("10.166.0.2", "a")).error().code() == Errc::AlreadyExists);
    CHECK_FALSE(ipam.assign({"absent", {}, {}, "c", {}, {}}).has_value());
    CHECK(ipam.remove_pool("raind0").error().code() == Errc::Conflict);
    REQUIRE(ipam.release("a", {77}).has_value());
    REQUIRE(ipam.release("a", {99}).has_value());
    f.open();
    const auto rows = *f.store->ipam().allocations("raind0");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].container_id.empty());
    CHECK(rows[0].released_at.ns == 77);
    CHECK_FALSE(f.store->ipam().allocation_of("a")->has_value());
    CHECK_FALSE(f.store->ipam().allocation_of("")->has_value());
    REQUIRE(f.store->ipam().assign(address("10.166.0.1", "b")).has_value());
    const auto again = **f.store->ipam().allocation_of("b");
    CHECK(again.released_at.is_never());
    CHECK(again.assigned_at.ns == 10);
    REQUIRE(f.store->ipam().release("b", {100}).has_value());
    CHECK(f.store->ipam().remove_pool("raind0").has_value());
    CHECK(f.store->ipam().pools()->empty());
}

TEST_CASE("id ranges never overlap while they are in use") {
    Fixture f;
    auto& ipam = f.store->ipam();
    REQUIRE(ipam.assign_range({{100000, 65536}, "a", {}}).has_value());
    CHECK(ipam.assign_range({{100000, 65536}, "b", {}}).error().code() == Errc::AlreadyExists);
    CHECK(ipam.assign_range({{165535, 10}, "b", {}}).error().code() == Errc::AlreadyExists);
    CHECK(ipam.assign_range({{99999, 2}, "b", {}}).error().code() == Errc::AlreadyExists);
    CHECK(ipam.assign_range({{165536, 65536}, "a", {}}).error().code() == Errc::AlreadyExists);
    REQUIRE(ipam.assign_range({{165536, 65536}, "b", {}}).has_value());
    REQUIRE(ipam.release_range("a", {5}).has_value());
    REQUIRE(ipam.assign_range({{100000, 65536}, "c", {}}).has_value());
    const auto ranges = *ipam.ranges();
    REQUIRE(ranges.size() == 2);
    CHECK(ranges[0].container_id == "c");
    CHECK(ranges[0].range.count == 65536);
    CHECK(ranges[0].released_at.is_never());
}
