#include <doctest/doctest.h>

#include "userspace/runtime/stored_output.h"

using raind::runtime::plain_output;

TEST_CASE("stored lines give the bytes that the container wrote") {
    CHECK(plain_output("2026-03-02T10:02:14.1Z stdout F hello\n"
                       "2026-03-02T10:02:14.2Z stderr P par\n"
                       "2026-03-02T10:02:14.3Z stderr F tial  two\n"
                       "2026-03-02T10:02:14.4Z stdout F \n") == "hello\npartial  two\n\n");
    CHECK(plain_output("broken\nline with\n").empty());
}
