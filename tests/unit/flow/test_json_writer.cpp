#include <doctest/doctest.h>

#include "userspace/flow/json_writer.h"

using namespace raind::flow;

TEST_CASE("members, nesting and escapes") {
    std::string out;
    JsonWriter json(out);
    json.string("a", "x\"\n");
    json.begin("b");
    json.number("n", 18'446'744'073'709'551'615U);
    json.boolean("t", true);
    json.end();
    json.begin("empty");
    json.end();
    json.string_if("left_out", "");
    json.plain("c", "plain");
    json.end();
    CHECK(out == R"({"a":"x\"\n","b":{"n":18446744073709551615,"t":true},"empty":{},"c":"plain"})");
}
