#include <cstdlib>
#include <ctime>
#include <doctest/doctest.h>

#include "userspace/flow/timestamp.h"

using namespace raind;
using namespace raind::flow;

namespace {

// The zone of this process for the life of the object.
struct Zone {
    explicit Zone(const char* name) {
        setenv("TZ", name, 1);
        tzset();
    }
    ~Zone() {
        setenv("TZ", "UTC", 1);
        tzset();
    }
};

}  // namespace

TEST_CASE("nanoseconds and offset, over the change of the second") {
    Timestamper stamp;
    {
        const Zone zone("UTC");
        CHECK(stamp.format({1'772'445'734'120'004'518}) == "2026-03-02T10:02:14.120004518Z");
        CHECK(stamp.format({1'772'445'734'000'000'001}) == "2026-03-02T10:02:14.000000001Z");
        CHECK(stamp.format({1'772'445'735'999'999'999}) == "2026-03-02T10:02:15.999999999Z");
        CHECK(stamp.format({-1}) == "1969-12-31T23:59:59.999999999Z");
    }
    const Zone zone("XXX3:30");
    Timestamper west;
    CHECK(west.format({1'772'445'734'120'004'518}) == "2026-03-02T06:32:14.120004518-03:30");
}
