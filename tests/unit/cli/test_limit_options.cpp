#include <doctest/doctest.h>

#include "cli/limit_options.h"

using namespace raind::cli;

TEST_CASE("memory as Docker writes it") {
    CHECK(*memory_bytes("512m") == 512LL << 20);
    CHECK(*memory_bytes("1.5g") == 1536LL << 20);
    CHECK(*memory_bytes("64MiB") == 64LL << 20);
    CHECK(*memory_bytes("7000000") == 7000000);
    CHECK(*memory_bytes("0") == 0);
    CHECK(*memory_bytes("-1") == 0);
    for (const char* text :
         {"", "m", "-5m", "1x", "many", "nan", "1e9", "9999999999g", "0.5", "0.0001k"})
        CHECK_MESSAGE(memory_bytes(text).error().exit_code == kExitUsage, text);
}

TEST_CASE("processors by their digits") {
    CHECK(*cpu_billionths("0.07") == 70'000'000);
    CHECK(*cpu_billionths("2") == 2'000'000'000);
    CHECK(*cpu_billionths(".5") == 500'000'000);
    CHECK(*cpu_billionths("1.") == 1'000'000'000);
    CHECK(*cpu_billionths("0.000000001") == 1);
    CHECK(*cpu_billionths("0") == 0);
    for (const char* text : {"", ".", "-1", "1,5", "0.0000000001", "x", "1e1", "99999999", "50%"})
        CHECK_MESSAGE(cpu_billionths(text).error().exit_code == kExitUsage, text);
}

TEST_CASE("what is not given stays with the daemon") {
    Parsed parsed;
    raind::api::CreateContainerRequest request;
    REQUIRE(read_limits(parsed, request).has_value());
    CHECK_FALSE(request.memory.has_value());
    CHECK_FALSE(request.nano_cpus.has_value());
    CHECK_FALSE(request.pids_limit.has_value());
    parsed.set("memory", {"64m"});
    parsed.set("cpus", {"0.5"});
    parsed.set("pids-limit", {"-1"});
    parsed.set("stop-signal", {"QUIT"});
    parsed.set("stop-timeout", {"7"});
    REQUIRE(read_limits(parsed, request).has_value());
    CHECK(request.memory == 64 << 20);
    CHECK(request.nano_cpus == 500'000'000);
    CHECK(request.pids_limit == -1);
    CHECK(request.stop_signal == "QUIT");
    CHECK(request.stop_timeout == 7);
    for (const char* text : {"", "x", "-2", "1.5", "7 "}) {
        parsed.set("pids-limit", {text});
        CHECK_FALSE(read_limits(parsed, request).has_value());
    }
}
