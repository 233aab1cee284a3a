#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include "userspace/common/process.h"

using namespace raind;
using namespace std::chrono_literals;

TEST_CASE("a program runs with exactly its environment, and its output and code come back") {
    const auto result = run_program({.program = "/bin/sh",
                                     .args = {"sh", "-c", "echo $A; echo oops >&2; exit 7"},
                                     .env = {"A=value"}},
                                    5s);
    REQUIRE(result.has_value());
    CHECK(result->output == "value\n");
    CHECK(result->errors == "oops\n");
    CHECK(result->status.code == 7);
}

TEST_CASE("a missing program is an error of spawn, not an exit code") {
    const auto child = Child::spawn({.program = "/nonexistent/program", .args = {"x"}});
    REQUIRE_FALSE(child.has_value());
    CHECK(child.error().os_error() == ENOENT);
}

TEST_CASE("a program that does not end is killed at the limit") {
    const auto result = run_program({.program = "/bin/sleep", .args = {"sleep", "30"}}, 100ms);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code() == Errc::Unavailable);
}

TEST_CASE("signals and start times") {
    auto child = Child::spawn({.program = "/bin/sleep", .args = {"sleep", "30"}});
    REQUIRE(child.has_value());
    CHECK(*process_start_time(child->pid()) > 0);
    CHECK_FALSE(child->wait_for(10ms)->has_value());
    REQUIRE(child->signal(SIGKILL).has_value());
    // Not reaped yet: a zombie counts as gone.
    for (int i = 0; i < 500 && process_start_time(child->pid()).has_value(); ++i)
        usleep(10'000);
    CHECK_FALSE(process_start_time(child->pid()).has_value());
    CHECK(child->wait()->shell_code() == 137);
}