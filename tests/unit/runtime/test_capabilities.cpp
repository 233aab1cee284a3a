#include <algorithm>
#include <doctest/doctest.h>

#include "userspace/runtime/capabilities.h"

using namespace raind;
using namespace raind::runtime;

TEST_CASE("thirteen by default, NET_RAW not among them") {
    const auto set = container_capabilities({}, {});
    REQUIRE(set.has_value());
    CHECK(set->size() == 13);
    CHECK(std::ranges::find(*set, "CAP_NET_RAW") == set->end());
}

TEST_CASE("add, drop and ALL") {
    CHECK(container_capabilities({"net_raw"}, {})->size() == 14);
    CHECK(container_capabilities({}, {"CAP_CHOWN", "mknod"})->size() == 11);
    CHECK(container_capabilities({}, {"ALL"})->empty());
    CHECK(*container_capabilities({"CHOWN"}, {"all"}) == std::vector<std::string>{"CAP_CHOWN"});
    CHECK(container_capabilities({"NET_RAW"}, {"NET_RAW"})->size() == 13);
    CHECK(container_capabilities({"ALL"}, {})->size() == 41);
}

TEST_CASE("an unknown capability is named") {
    CHECK(container_capabilities({"NET_MAGIC"}, {}).error().message() ==
          "unknown capability: \"NET_MAGIC\"");
}
