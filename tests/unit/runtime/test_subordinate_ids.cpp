#include <doctest/doctest.h>

#include "userspace/runtime/subordinate_ids.h"

using namespace raind;
using namespace raind::runtime;

TEST_CASE("without an entry the default range") {
    const auto plan = plan_from("other:100000:65536\n", "");
    REQUIRE(plan.has_value());
    CHECK(plan->first == 0x20000000);
    CHECK(plan->count == 4096);
}

TEST_CASE("an entry of both files replaces it") {
    const auto plan = plan_from("x:1:2\nraind:1000000:655360\n", "raind:1000000:655360");
    REQUIRE(plan.has_value());
    CHECK(plan->first == 1000000);
    CHECK(plan->count == 10);
}

TEST_CASE("entries that cannot be used are refused, not ignored") {
    CHECK_FALSE(plan_from("raind:1000000:655360", "").has_value());
    CHECK_FALSE(plan_from("raind:1000000:655360", "raind:2000000:655360").has_value());
    CHECK_FALSE(plan_from("raind:1000000:100", "raind:1000000:100").has_value());
    CHECK_FALSE(plan_from("raind:1000000", "raind:1000000").has_value());
    CHECK_FALSE(plan_from("raind:0:655360", "raind:0:655360").has_value());
    CHECK_FALSE(plan_from("raind:4294900000:655360", "raind:4294900000:655360").has_value());
}
