#include <doctest/doctest.h>

#include "userspace/common/text.h"

using namespace raind;

TEST_CASE("nothing drives a terminal through printable()") {
    CHECK(printable("plain \xc3\xa9 text") == "plain \xc3\xa9 text");
    CHECK(printable("\x1b[31m") == "\\x1b[31m");
    CHECK(printable("a\nb") == "a\\x0ab");
    CHECK(printable("\xc2\x9b") == "\\x9b");
    CHECK(printable("\xff") == "\xef\xbf\xbd");
}

TEST_CASE("JSON escaping") {
    std::string out;
    append_json_escaped(out, "a\"b\\c\n\x01\xc0\xaf");
    CHECK(out == "a\\\"b\\\\c\\n\\u0001\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("overlong forms and surrogates are not UTF-8") {
    CHECK(valid_utf8("\xc0\x80") == "\xef\xbf\xbd\xef\xbf\xbd");
    CHECK(valid_utf8("\xf0\x9f\x98\x80") == "\xf0\x9f\x98\x80");
    CHECK(valid_utf8("\xed\xa0\x80").find('\xed') == std::string::npos);
}

TEST_CASE("split and trim") {
    CHECK(split("a,,b", ',') == std::vector<std::string>{"a", "", "b"});
    CHECK(trim(" \t x y\n") == "x y");
    CHECK(trim("  ").empty());
}
