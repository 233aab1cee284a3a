#include <doctest/doctest.h>

#include "userspace/image/extract_protocol.h"

using namespace raind::image;
using raind::Errc;
using raind::Error;

TEST_CASE("extraction: arguments there and back") {
    ExtractArguments arguments{.parent = 4711, .below = 126, .limits = {}};
    arguments.limits.max_bytes = 123;
    arguments.limits.max_xattr_bytes = 9;
    auto words = format_arguments(arguments);
    std::vector<char*> raw;
    raw.reserve(words.size());
    for (std::string& word : words)
        raw.push_back(word.data());
    const auto read = parse_arguments(raw);
    REQUIRE(read.has_value());
    CHECK(read->parent == 4711);
    CHECK(read->below == 126);
    CHECK(read->limits.max_bytes == 123);
    CHECK(read->limits.max_xattr_bytes == 9);
    raw.pop_back();
    CHECK_FALSE(parse_arguments(raw).has_value());
}

TEST_CASE("extraction: reports") {
    const ExtractReport report{
        .diff_id = Digest::of("x"),
        .stats = {.entries = 1, .bytes = 2, .skipped_devices = 3, .dropped_xattrs = 4},
        .unpacked = 5};
    const auto read = parse_report(format_report(report));
    REQUIRE(read.has_value());
    CHECK(read->diff_id == report.diff_id);
    CHECK(read->stats.dropped_xattrs == 4);
    CHECK(read->unpacked == 5);
    const auto failure = parse_report(format_failure(Error(Errc::TooLarge, "too much \x1b[2J")));
    REQUIRE_FALSE(failure.has_value());
    CHECK(failure.error().code() == Errc::TooLarge);
    CHECK(failure.error().message().find("too much") == 0);
    CHECK(failure.error().message().find('\x1b') == std::string::npos);
}

TEST_CASE("extraction: what a broken process may send") {
    for (const char* text : {"", "ok", "ok\n", "ok zz 1 2 3 4\n", "error\n", "error 99 x\n",
                             "error x y\n", "error 1\n", "\n", "ok 1 2 3 4 5 6 7 8\n"}) {
        const auto read = parse_report(text);
        CHECK_FALSE(read.has_value());
    }
    CHECK_FALSE(parse_report(std::string(kMaxReport + 1, '\n')).has_value());
}
