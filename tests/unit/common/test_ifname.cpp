#include <doctest/doctest.h>

#include "userspace/common/ifname.h"

using namespace raind;

TEST_CASE("interface names") {
    for (const auto* good : {"eth0", "rd_01hzy3k9q2ab", "raind0", "a-b.c"})
        CHECK(check_interface_name(good).has_value());
    for (const auto* bad : {"", ".", "..", "a/b", "a b", "a:b", "sixteen-letters-", "rd_*", "a\"b",
                            "a\\b", "a'b", "a\nb", "\xc3\xa4"})
        CHECK(!check_interface_name(bad).has_value());
}
