#include "tests/unit/store/fixture.h"
#include "userspace/store/identities.h"

using namespace raind;
using namespace raind::store;
using test::Fixture;

TEST_CASE("a name keeps its number, and no number is given twice") {
    Fixture f;
    const auto kind = IdentityKind::Workload;
    CHECK(*f.store->identities().number_for(kind, "web") == 256);
    CHECK(*f.store->identities().number_for(kind, "db") == 257);
    CHECK(*f.store->identities().number_for(kind, "web") == 256);
    CHECK(*f.store->identities().number_for(IdentityKind::Cidr, "10.0.0.0/8") == 0x02000000);
    CHECK(*f.store->identities().number_for(IdentityKind::Selector, "web") == 0x01000000);
    REQUIRE(f.store->identities().forget(kind, "db").has_value());
    f.open();
    CHECK(*f.store->identities().number_for(kind, "cache") == 258);
    CHECK(*f.store->identities().number_for(kind, "db") == 259);
    CHECK(*f.store->identities().number_for(kind, "web") == 256);
    CHECK(**f.store->identities().name_of(258) == "cache");
    CHECK_FALSE(f.store->identities().name_of(257)->has_value());
    CHECK(**f.store->identities().find(kind, "db") == 259);
    CHECK_FALSE(f.store->identities().find(kind, "absent")->has_value());
    CHECK(f.store->identities().all(kind)->size() == 3);
    CHECK_FALSE(f.store->identities().number_for(kind, "").has_value());
}

TEST_CASE("endpoint numbers only grow, over restarts and over what the kernel has seen") {
    Fixture f;
    CHECK(*f.store->identities().next_endpoint() == 1);
    CHECK(*f.store->identities().next_endpoint() == 2);
    f.open();
    CHECK(*f.store->identities().next_endpoint() == 3);
    REQUIRE(f.store->identities().raise_endpoint(100).has_value());
    REQUIRE(f.store->identities().raise_endpoint(50).has_value());
    CHECK(*f.store->identities().next_endpoint() == 101);
    REQUIRE(f.store->identities().raise_endpoint(0xffffffff).has_value());
    CHECK(f.store->identities().next_endpoint().error().code() == Errc::Exhausted);
}
