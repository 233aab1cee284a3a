#include <doctest/doctest.h>

#include "userspace/common/json.h"

using namespace raind;

TEST_CASE("outside JSON is bounded in bytes and depth and has no duplicate keys") {
    CHECK(parse_json(R"({"a":1})").has_value());
    CHECK(parse_json(R"({"a":1,"a":2})").error().message() == "duplicate key \"a\"");
    CHECK(parse_json(std::string(100'000, '[')).error().code() == Errc::InvalidArgument);
    CHECK(parse_json("{", {}).error().code() == Errc::InvalidArgument);
    CHECK(parse_json("[1,2,3]", {.bytes = 3}).error().code() == Errc::TooLarge);
    CHECK(parse_json(R"([{"a":1},{"a":2}])").has_value());
}

TEST_CASE("fields are read with their range and named by their path") {
    const auto json = parse_json(
        R"({"n":70000,"f":3.9,"t":true,"s":"x","l":["a",1],"z":null,"big":18446744073709551615})");
    const JsonReader reader(*json, "top");
    CHECK(reader.integer("n", 0, 65535).error().message() ==
          "top.n: expected a whole number from 0 to 65535");
    CHECK_FALSE(reader.integer("f", 0, 10).has_value());
    CHECK_FALSE(reader.integer("t", 0, 10).has_value());
    CHECK_FALSE(reader.integer("big", 0, INT64_MAX).has_value());
    CHECK(*reader.string("s") == "x");
    CHECK(*reader.string("z", "fallback") == "fallback");
    CHECK_FALSE(reader.strings("l").has_value());
    CHECK(reader.only({"n", "f", "t", "s", "l", "z"}).error().message() ==
          "json: unknown field \"top.big\"");
}

TEST_CASE("dump replaces invalid UTF-8 instead of throwing") {
    CHECK(dump_json(Json("a\xff")) == "\"a\xef\xbf\xbd\"");
}
