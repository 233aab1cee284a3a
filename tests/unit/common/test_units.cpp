#include <doctest/doctest.h>

#include "userspace/common/units.h"

using namespace raind;
using namespace std::chrono_literals;

TEST_CASE("durations") {
    CHECK(*parse_duration("90s") == 90s);
    CHECK(*parse_duration("1h30m") == 90min);
    CHECK(*parse_duration("7d") == 168h);
    CHECK(*parse_duration("250ms") == 250ms);
    for (const char* text : {"", "10", "s", "-5s", "1x", "1h-2m"})
        CHECK_FALSE(parse_duration(text).has_value());
}

TEST_CASE("sizes") {
    CHECK(*parse_size("512m") == 512U << 20);
    CHECK(*parse_size("1.5g") == 1536U << 20);
    CHECK(*parse_size("42") == 42);
    CHECK(*parse_size("2KiB") == 2048);
    for (const char* text : {"", "m", "1x", "-1", "1mm", "nan", "inf", "1e3"})
        CHECK_FALSE(parse_size(text).has_value());
}

TEST_CASE("numbers") {
    CHECK(*parse_number("65535", 0, 65535, "port") == 65535);
    for (const char* text : {"", "70000", "-1", "8 0", "0x10"})
        CHECK_FALSE(parse_number(text, 0, 65535, "port").has_value());
}
