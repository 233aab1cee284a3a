#include <cstdlib>
#include <doctest/doctest.h>

#include "cli/text.h"

using namespace raind::cli;  // NOLINT: one module under test

TEST_CASE("nothing that could steer a terminal stays") {
    CHECK(terminal_safe("plain text, ünïcode 日本 …") == "plain text, ünïcode 日本 …");
    CHECK(terminal_safe("\x1b[31m") == "\\x1b[31m");
    CHECK(terminal_safe(std::string("a\0b", 3)) == "a\\x00b");
    CHECK(terminal_safe("a\r\n\tb\x7f") == "a\\x0d\\x0a\\x09b\\x7f");
    CHECK(terminal_safe("\xc2\x9b") == "\\u{9b}");  // C1: another way to write ESC [
    CHECK(terminal_safe("\x9b"
                        "1m") == "\\x9b1m");                    // the same as a single byte
    CHECK(terminal_safe("\xe2\x80\xae") == "\\u{202e}");        // right-to-left override
    CHECK(terminal_safe("\xe2\x80\xa8") == "\\u{2028}");        // line separator
    CHECK(terminal_safe("a\xe2\x80\x8b") == "a\\u{200b}");      // zero width space
    CHECK(terminal_safe("\xef\xbb\xbf") == "\\u{feff}");        // byte order mark
    CHECK(terminal_safe("\xf3\xa0\x80\x81") == "\\u{e0001}");   // tag
    CHECK(terminal_safe("\xc0\x9b") == "\\xc0\\x9b");           // overlong
    CHECK(terminal_safe("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // surrogate
    CHECK(terminal_safe("\xe2\x82") == "\\xe2\\x82");           // cut
    CHECK(terminal_safe("\xf5\x80\x80\x80") == "\\xf5\\x80\\x80\\x80");
    CHECK(terminal_safe_lines("one\ntwo\x1b") == "one\ntwo\\x1b");
}

TEST_CASE("no byte string of two bytes passes a control character") {
    for (int first = 0; first < 256; ++first) {
        for (int second = 0; second < 256; ++second) {
            const std::string text = {static_cast<char>(first), static_cast<char>(second)};
            const std::string safe = terminal_safe(text);
            for (std::size_t i = 0; i < safe.size(); ++i) {
                const auto byte = static_cast<unsigned char>(safe[i]);
                const bool control = byte < 0x20 || byte == 0x7f;
                // 0xc2 leads into C1 only with a second byte below 0xa0.
                const bool c1 = byte == 0xc2 && (i + 1 == safe.size() ||
                                                 static_cast<unsigned char>(safe[i + 1]) < 0xa0);
                CHECK_FALSE(control);
                CHECK_FALSE(c1);
            }
        }
    }
}

TEST_CASE("JSON lines become ASCII and keep their meaning") {
    CHECK(ascii_json(R"({"a":"b\n"})") == R"({"a":"b\n"})");
    CHECK(ascii_json("\"\xc3\xa9\xc2\x9b\"") == "\"\\u00e9\\u009b\"");
    CHECK(ascii_json("\"\xf0\x9f\x90\xb3\"") == "\"\\ud83d\\udc33\"");
    CHECK(ascii_json("\"\xff\x7f\"") == "\"\\ufffd\\u007f\"");
}

TEST_CASE("width and cutting count characters") {
    CHECK(char_width("a…b") == 3);
    CHECK(first_chars("日本語", 2) == "日本");
    CHECK(first_chars("abc", 5) == "abc");
    CHECK(first_chars("abc", 0).empty());
}

TEST_CASE("tables: widest cell, two spaces, last column not padded") {
    Table table({"A", "LONGER", "C"});
    table.add({"1234", "…", "x"});
    table.add({"", "y", ""});
    CHECK(table.render() ==
          "A     LONGER  C\n"
          "1234  …       x\n"
          "      y       \n");
    CHECK(Table({"ONLY", "HEAD"}).render() == "ONLY  HEAD\n");
}

TEST_CASE("times of RFC 3339") {
    CHECK(parse_time("1970-01-01T00:00:10Z") == 10);
    CHECK(parse_time("1970-01-01T00:00:10.123456789Z") == 10);
    CHECK(parse_time("1970-01-01T09:00:10.1+09:00") == 10);
    CHECK(parse_time("1969-12-31T20:30:10-03:30") == 10);
    CHECK(parse_time("2026-03-02T10:02:11Z") == 1772445731);
    CHECK_FALSE(parse_time("0001-01-01T00:00:00Z").has_value());  // never
    for (const char* const bad :
         {"", "now", "2026-03-02", "2026-03-02T10:02:11", "2026-03-02T10:02:11.",
          "2026-03-02T10:02:11X", "2026-03-02T10:02:11+0900", "2026x03-02T10:02:11Z",
          "2026-03-02T-1:02:11Z"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_time(bad).has_value());
    }
}

TEST_CASE("relative times at their limits") {
    setenv("TZ", "UTC", 1);
    constexpr std::time_t kNow = 1772445731;  // 2026-03-02T10:02:11Z
    CHECK(relative_time(kNow, kNow) == "less than a minutes");
    CHECK(relative_time(kNow + 100, kNow) == "less than a minutes");  // a clock that went back
    CHECK(relative_time(kNow - 59, kNow) == "less than a minutes");
    CHECK(relative_time(kNow - 60, kNow) == "1 minutes ago");
    CHECK(relative_time(kNow - 3599, kNow) == "59 minutes ago");
    CHECK(relative_time(kNow - 3600, kNow) == "1 hours ago");
    CHECK(relative_time(kNow - 86399, kNow) == "23 hours ago");
    CHECK(relative_time(kNow - 86400, kNow) == "1 days ago");
    CHECK(relative_time(kNow - 30 * 86400 + 1, kNow) == "29 days ago");
    CHECK(relative_time(kNow - 30 * 86400, kNow) == "2026-01-31");
}

TEST_CASE("the nearest word, if it is near") {
    const std::vector<std::string> words = {"container", "image", "policy", "logs", "rm"};
    CHECK(nearest("contaner", words) == "container");
    CHECK(nearest("cotnainer", words) == "container");
    CHECK(nearest("imgae", words) == "image");
    CHECK(nearest("log", words) == "logs");
    CHECK_FALSE(nearest("bottle", words).has_value());
    CHECK_FALSE(nearest("x", words).has_value());
}

TEST_CASE("one path segment") {
    CHECK(percent_encode("web-1_a.b~") == "web-1_a.b~");
    CHECK(percent_encode("a/b?c#d%e f") == "a%2Fb%3Fc%23d%25e%20f");
    CHECK(percent_encode("\xc3\xa9\n") == "%C3%A9%0A");
    CHECK(percent_encode("..") == "%2E%2E");
    CHECK(percent_encode(".") == "%2E");
}
