#include <cstdlib>
#include <ctime>
#include <doctest/doctest.h>
#include <string>

#include "cli/log_view.h"

using namespace raind::cli;  // NOLINT: one module under test

namespace {

struct Shown {
    std::string out;
    std::string err;
};

Shown show(std::string_view bytes, std::size_t piece, bool timestamps) {
    Shown shown;
    LogSplitter splitter(timestamps, [&shown](LogStream stream, std::string_view text) {
        (stream == LogStream::Err ? shown.err : shown.out) += text;
    });
    for (std::size_t i = 0; i < bytes.size(); i += piece)
        splitter.feed(bytes.substr(i, piece));
    splitter.finish();
    return shown;
}

constexpr std::string_view kLog =
    "2026-03-02T10:02:11.1Z stdout F one\n"
    "2026-03-02T10:02:12.1Z stderr P ba\n"
    "\n"
    "2026-03-02T10:02:13.1Z stdout F \n"
    "2026-03-02T10:02:14.1Z stderr F d \xff\n"
    "2026-03-02T10:02:15.1Z stdout P end";

}  // namespace

TEST_CASE("streams are told apart, wherever the pieces are cut") {
    for (const std::size_t piece : {1UL, 7UL, 1000UL}) {
        const Shown shown = show(kLog, piece, false);
        CHECK(shown.out == "one\n\nend");
        CHECK(shown.err == "bad \xff\n");
    }
    const Shown stamped = show(kLog, 5, true);
    CHECK(stamped.out ==
          "2026-03-02T10:02:11.1Z one\n2026-03-02T10:02:13.1Z \n"
          "2026-03-02T10:02:15.1Z end");
    CHECK(stamped.err == "2026-03-02T10:02:12.1Z bad \xff\n");
}

TEST_CASE("lines of another form are not thrown away") {
    CHECK(show("plain\n", 100, false).out == "plain\n");
    CHECK(show("2026-03-02T10:02:11.1Z stdin F x\n", 100, false).out ==
          "2026-03-02T10:02:11.1Z stdin F x\n");
    CHECK(show("2026-03-02T10:02:11.1Z stdout X x\n", 100, false).out ==
          "2026-03-02T10:02:11.1Z stdout X x\n");
}

TEST_CASE("records of flows for people") {
    CHECK(netflow_line(R"({"received_ts":"2026-03-02T10:02:11.12+09:00","verdict":"deny",)"
                       R"("proto":"UDP","src":{"kind":"container","container_name":"a"},)"
                       R"("dst":{"kind":"external","ip":"::1"}})") ==
          "2026-03-02 10:02:11\tDENY\tFROM: a => TO: ::1 {UDP}");
    CHECK(
        netflow_line(R"({"verdict":"allow","proto":"ICMPV6","src":{"kind":"container_unresolved",)"
                     R"("ip":"10.0.0.1","container_id":"c"},"dst":{"kind":"unknown"}})") ==
        "\tALLOW\tFROM: c => TO: unknown {ICMPV6}");
    CHECK(netflow_line("{}") == "\tUNKNOWN\tFROM: unknown => TO: unknown {UNKNOWN}");
    CHECK(netflow_line("[\x1b]") == "[\\x1b]");
    CHECK(netflow_line(R"({"src":7,"dst":[],"proto":{},"verdict":null})") ==
          "\tUNKNOWN\tFROM: unknown => TO: unknown {UNKNOWN}");
}

TEST_CASE("a target is a name, an id or an address at either end") {
    const char* const line =
        R"({"src":{"container_name":"web","container_id":"01","ip":"10.0.0.1"},)"
        R"("dst":{"ip":"192.0.2.1"}})";
    for (const char* const target : {"web", "01", "10.0.0.1", "192.0.2.1"})
        CHECK(netflow_matches(line, target));
    for (const char* const target : {"we", "192.0.2", "db"})
        CHECK_FALSE(netflow_matches(line, target));
    CHECK_FALSE(netflow_matches("web", "web"));
}

TEST_CASE("times of the daemon are UTC and shown in the local zone") {
    const char* before = std::getenv("TZ");
    const std::string kept = before != nullptr ? before : "";
    ::setenv("TZ", "JST-9", 1);
    ::tzset();
    CHECK(netflow_line(R"({"received_ts":"2026-03-02T20:02:11.12Z","verdict":"deny"})")
              .starts_with("2026-03-03 05:02:11\t"));
    if (before != nullptr)
        ::setenv("TZ", kept.c_str(), 1);
    else
        ::unsetenv("TZ");
    ::tzset();
}
