#include <algorithm>
#include <doctest/doctest.h>
#include <set>

#include "userspace/core/names.h"

using namespace raind;
using namespace raind::core;

TEST_CASE("container names: what is accepted") {
    for (const char* name : {"web", "ledger-db", "a", "A.b_c-9", "0x", "calm-spline-0417"})
        CHECK_MESSAGE(validate_container_name(name).has_value(), name);
    CHECK(validate_container_name(std::string(64, 'a')).has_value());
}

TEST_CASE("container names: what is refused, without raw control characters in the message") {
    for (const std::string& name :
         {std::string(), std::string("a/b"), std::string("-a"), std::string(".."),
          std::string("a b"), std::string("a\nb"), std::string("a\x1b[0m"), std::string("a\0b", 3),
          std::string("\xc3\xa4"), std::string(65, 'a')}) {
        const auto result = validate_container_name(name);
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().code() == Errc::InvalidArgument);
        for (char c : result.error().message())
            CHECK((c >= 0x20 && c < 0x7f));
    }
    CHECK(validate_container_name("a/b").error().message().find("'/'") != std::string::npos);
    CHECK(validate_container_name("a\x1b").error().message().find("\\x1b") != std::string::npos);
}

TEST_CASE("generated names are adjective-noun-NNNN and valid") {
    std::set<std::string> names;
    std::uint64_t random = 88172645463325252ULL;
    for (int i = 0; i < 2000; ++i) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        const std::string name = generated_name(random);
        REQUIRE(validate_container_name(name).has_value());
        REQUIRE(std::ranges::count(name, '-') == 2);
        const std::string digits = name.substr(name.rfind('-') + 1);
        REQUIRE(digits.size() == 4);
        REQUIRE(std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }));
        names.insert(name);
    }
    CHECK(names.size() > 1990);
    CHECK(generated_name(0) == generated_name(0));
}
