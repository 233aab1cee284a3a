#include "tests/unit/flow/fixture.h"
#include "userspace/common/clock.h"
#include "userspace/flow/identity.h"

using namespace raind;
using namespace raind::flow;
using namespace raind::flow::test;

TEST_CASE("a record names the incarnation that had the number, not its successor") {
    IdentityTable table;
    fill(table);
    const std::uint64_t before = boottime_ns();
    table.retire(kWebEp);
    table.add(endpoint(13, "01kx9999zzzz", "new-web", "10.166.0.1", "fd00::1"));
    const auto now = table.snapshot();
    REQUIRE(now->by_ep(kWebEp) != nullptr);
    CHECK(now->by_ep(kWebEp)->name == "web");
    CHECK(now->by_ep(13)->name == "new-web");
    CHECK(now->by_ep(99) == nullptr);
    const IpAddress address = *IpAddress::parse("10.166.0.1");
    CHECK(now->by_address(address, before - 1)->name == "web");
    CHECK(now->by_address(address, boottime_ns())->name == "new-web");
    CHECK(now->by_address(*IpAddress::parse("10.166.0.9"), before) == nullptr);
    table.add(endpoint(14, "01kxaaaazzzz", "late", "10.166.0.9", "fd00::9"));
    const auto later = table.snapshot();
    CHECK(later->by_address(*IpAddress::parse("10.166.0.9"), before) == nullptr);
    CHECK(later->by_address(*IpAddress::parse("10.166.0.9"), boottime_ns())->name == "late");
}

TEST_CASE("a snapshot does not change") {
    IdentityTable table;
    fill(table);
    const auto old = table.snapshot();
    table.rename(kWebEp, "other");
    table.set_rules({{300, "x"}});
    CHECK(old->by_ep(kWebEp)->name == "web");
    CHECK(table.snapshot()->by_ep(kWebEp)->name == "other");
    CHECK(*old->policy_id(kRule) == kPolicy);
    CHECK(old->policy_id(300) == nullptr);
    // A rule that was taken out is known for its last records.
    CHECK(*table.snapshot()->policy_id(kRule) == kPolicy);
    CHECK(*table.snapshot()->policy_id(300) == "x");
}
