#include "tests/unit/store/fixture.h"
#include "userspace/store/settings.h"

using namespace raind;
using namespace raind::store;
using test::Fixture;

TEST_CASE("what is drawn once stays") {
    Fixture f;
    const std::string node = *f.store->settings().node();
    const std::uint64_t bits = *f.store->settings().ula_bits();
    CHECK(node.size() == 26);
    CHECK(bits < (std::uint64_t{1} << 40));
    f.open();
    CHECK(*f.store->settings().node() == node);
    CHECK(*f.store->settings().ula_bits() == bits);
    Fixture other;
    CHECK(*other.store->settings().node() != node);
    REQUIRE(f.store->settings().set("ula", "12zz").has_value());
    auto damaged = f.store->settings().ula_bits();
    REQUIRE_FALSE(damaged.has_value());
    CHECK(damaged.error().message().find(f.file()) != std::string::npos);
}
