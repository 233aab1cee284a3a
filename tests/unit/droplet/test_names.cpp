#include <csignal>
#include <doctest/doctest.h>

#include "droplet/spec.h"

using namespace raind::droplet;

TEST_CASE("names: signals in every spelling") {
    CHECK(signal_number("9") == SIGKILL);
    CHECK(signal_number("KILL") == SIGKILL);
    CHECK(signal_number("sigterm") == SIGTERM);
    CHECK(signal_number("RTMIN+3") == SIGRTMIN + 3);
    CHECK(signal_number("SIGRTMAX-1") == SIGRTMAX - 1);
    for (const char* bad : {"", "NONE", "-1", "65", "RTMIN+99", "RTMIN-1", "9x", "SIG"})
        CHECK_MESSAGE(!signal_number(bad), bad);
}

TEST_CASE("names: capabilities and limits") {
    CHECK(capability_number("CAP_CHOWN") == 0);
    CHECK(capability_number("CAP_NET_RAW") == 13);
    CHECK_FALSE(capability_number("cap_chown"));
    CHECK_FALSE(capability_number("CHOWN"));
    CHECK_FALSE(capability_number("CAP_NOTHING"));
    CHECK(rlimit_number("RLIMIT_NOFILE"));
    CHECK_FALSE(rlimit_number("RLIMIT_nofile"));
}

TEST_CASE("names: container ids") {
    for (const char* good : {"a", "01kx3zzt55pw", "A_b+c-d.e", "_x", "-x"})
        CHECK_MESSAGE(valid_container_id(good), good);
    CHECK(valid_container_id(std::string(255, 'x')));
    CHECK_FALSE(valid_container_id(std::string(256, 'x')));
    for (const char* bad : {"", ".", "..", ".a", "a/b", "a b", "a\n", "\xc3\xa4", "a:b"})
        CHECK_MESSAGE(!valid_container_id(bad), bad);
}

TEST_CASE("names: ids are mapped by their ranges") {
    const std::vector<IdMapping> maps{{0, 1000, 1}, {10, 5000, 10}};
    CHECK(map_id(maps, 0) == 1000U);
    CHECK(map_id(maps, 19) == 5009U);
    CHECK_FALSE(map_id(maps, 1));
    CHECK_FALSE(map_id(maps, 20));
    CHECK(map_id({}, 7) == 7U);
}
