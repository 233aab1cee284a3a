#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "userspace/core/id_range.h"

using namespace raind;
using namespace raind::core;

namespace {

// What the store does: keeps one record per range, the newest wins.
struct Ranges {
    IdRangePlan plan;
    std::vector<RangeAllocation> records;

    Result<std::uint32_t> take(const std::string& id) {
        RAIND_TRY(RangeAllocation got, next_id_range(plan, records, id));
        put(got);
        return got.range.first;
    }
    void give_back(const std::string& id, std::int64_t now) {
        for (RangeAllocation& record : records)
            if (record.container_id == id)
                record = released(record, WallTime{now});
    }
    void put(const RangeAllocation& got) {
        for (RangeAllocation& record : records)
            if (record.range.first == got.range.first) {
                record = got;
                return;
            }
        records.push_back(got);
    }
};

}  // namespace

TEST_CASE("id ranges ascend from the base and are 65,536 wide") {
    Ranges ranges;
    CHECK(ranges.take("a").value() == 0x20000000);
    CHECK(ranges.take("b").value() == 0x20010000);
    CHECK(ranges.take("a").value() == 0x20000000);
    CHECK(ranges.records[1].range.count == 65'536);
}

TEST_CASE("a released id range is reused last and longest-released first") {
    Ranges ranges;
    ranges.plan.count = 3;
    REQUIRE(ranges.take("a").has_value());
    REQUIRE(ranges.take("b").has_value());
    ranges.give_back("b", 10);
    ranges.give_back("a", 20);
    CHECK(ranges.take("c").value() == 0x20020000);
    CHECK(ranges.take("d").value() == 0x20010000);
    CHECK(ranges.take("e").value() == 0x20000000);
    const auto full = ranges.take("f");
    REQUIRE_FALSE(full.has_value());
    CHECK(full.error().code() == Errc::Exhausted);
}

TEST_CASE("4,096 ranges and no more, none reaching past the ids set aside") {
    Ranges ranges;
    for (std::uint32_t i = 0; i < 4096; ++i)
        ranges.records.push_back(
            {.range = {0x20000000 + i * 65'536, 65'536}, .container_id = "c", .released_at = {}});
    CHECK_FALSE(ranges.take("one more").has_value());
    CHECK(ranges.records.back().range.first == 0x2fff0000);
}
