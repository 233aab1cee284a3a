#include "tests/unit/store/fixture.h"
#include "userspace/store/operations.h"

using namespace raind;
using namespace raind::store;
using test::Fixture;

TEST_CASE("an intent is found after a restart with its last step, until it is finished") {
    Fixture f;
    auto& operations = f.store->operations();
    const auto first = *operations.begin("container.create", "a", "{\"n\":1}");
    const auto second = *operations.begin("container.start", "b", "{}");
    CHECK(second > first);
    REQUIRE(operations.step(first, "bundle").has_value());
    REQUIRE(operations.step(second, "veth", "{\"n\":2}").has_value());
    f.open();
    const auto pending = *f.store->operations().pending();
    REQUIRE(pending.size() == 2);
    CHECK(pending[0].kind == "container.create");
    CHECK(pending[0].object == "a");
    CHECK(pending[0].step == "bundle");
    CHECK(pending[0].payload == "{\"n\":1}");
    CHECK_FALSE(pending[0].started_at.is_never());
    CHECK(pending[1].payload == "{\"n\":2}");
    REQUIRE(f.store->operations().finish(first).has_value());
    REQUIRE(f.store->operations().finish(second).has_value());
    CHECK(f.store->operations().pending()->empty());
    CHECK_FALSE(f.store->operations().step(first, "late").has_value());
    f.open();
    CHECK(*f.store->operations().begin("x", "", "{}") > second);
}
