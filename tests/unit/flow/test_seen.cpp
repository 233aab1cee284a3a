#include <doctest/doctest.h>

#include "userspace/flow/seen.h"

using namespace raind::flow;

TEST_CASE("one record per flow, whichever of its events comes first") {
    SeenFlows seen;
    CHECK(seen.begin(1));
    CHECK_FALSE(seen.end(1));
    CHECK(seen.end(2));
    CHECK_FALSE(seen.begin(2));
    CHECK(seen.begin(2));
    CHECK(seen.end(3));
    CHECK(seen.begin(0));
    CHECK_FALSE(seen.end(0));
}

TEST_CASE("memory is bounded, and recent flows are remembered") {
    SeenFlows seen;
    for (std::uint64_t id = 1; id <= 1'000'000; ++id)
        seen.begin(id);
    CHECK_FALSE(seen.end(1'000'000));
    CHECK_FALSE(seen.end(900'000));
    CHECK(seen.end(1));
}
