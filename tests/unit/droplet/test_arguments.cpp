#include <array>
#include <doctest/doctest.h>

#include "droplet/arguments.h"

using namespace raind::droplet;

namespace {

constexpr std::array kTable{OptionSpec{"bundle", 'b', OptionKind::Value, ""},
                            OptionSpec{"force", 'f', OptionKind::Flag, ""},
                            OptionSpec{"env", 'e', OptionKind::List, ""}};

auto parse(std::vector<std::string_view> words, Mixing mixing = Mixing::Free) {
    return Arguments::parse(words, kTable, mixing);
}

}  // namespace

TEST_CASE("arguments: both spellings of values, lists, words") {
    const auto a = parse({"--bundle=/x", "id", "-e", "A=1", "--env", "B=2", "-f"});
    REQUIRE(a);
    CHECK(a->value("bundle") == "/x");
    CHECK(a->list("env") == std::vector<std::string>{"A=1", "B=2"});
    CHECK(a->flag("force"));
    CHECK(a->words() == std::vector<std::string_view>{"id"});
    CHECK(parse({"-b/x"})->value("bundle") == "/x");
    CHECK_FALSE(parse({"--force=false"})->flag("force"));
}

TEST_CASE("arguments: options end at the first word or at two dashes") {
    const auto a = parse({"-f", "id", "-x", "--y"}, Mixing::StopAtWord);
    REQUIRE(a);
    CHECK(a->words() == std::vector<std::string_view>{"id", "-x", "--y"});
    CHECK(parse({"--", "-f"})->words() == std::vector<std::string_view>{"-f"});
}

TEST_CASE("arguments: wrong ones are refused by name") {
    CHECK(parse({"--wrong"}).error().message() == "unknown option --wrong");
    CHECK(parse({"--wrong=x"}).error().message() == "unknown option --wrong");
    CHECK(parse({"-x"}).error().message() == "unknown option -x");
    CHECK(parse({"--bundle"}).error().message() == "--bundle needs a value");
    CHECK(parse({"--force=maybe"}).error().message() == "--force takes no value");
    CHECK_FALSE(parse_number("n", "5x", 0, 9).has_value());
    CHECK_FALSE(parse_number("n", "10", 0, 9).has_value());
    CHECK(*parse_number("n", "9", 0, 9) == 9);
}
