#include <doctest/doctest.h>

#include "userspace/common/json.h"
#include "userspace/runtime/process_options.h"

using namespace raind;
using namespace raind::runtime;

TEST_CASE("users are names or numbers of the container's range") {
    for (const char* user :
         {"", "root", "www-data", "app:media", "1000", "0:0", "65535:65535", "app:7", ":media"})
        CHECK_MESSAGE(check_user(user).has_value(), user);
    for (const char* user : {"65536", "-1", "1:2:3", "1:", "a b", "a\nb", "-x", "app:65536",
                             "99999999999999999999", "\x1b[31m"})
        CHECK_MESSAGE(!check_user(user).has_value(), user);
    CHECK_FALSE(check_user(std::string(300, 'a')).has_value());
    CHECK_FALSE(check_user(std::string("a\0b", 3)).has_value());
}

TEST_CASE("the look-up stands in the bundle beside the numbers that are known already") {
    const auto named = make_user("app:44");
    REQUIRE(named.has_value());
    CHECK(named->at("uid") == 0);
    CHECK(named->at("gid") == 44);
    CHECK(named->at("io.raind.lookup") == "app:44");
    CHECK(make_user("1000")->at("uid") == 1000);
    CHECK(make_user("")->at("io.raind.lookup") == "");
}

TEST_CASE("signals by name and number") {
    for (const char* name :
         {"TERM", "SIGTERM", "sigquit", "15", "1", "RTMIN", "SIGRTMIN+3", "RTMAX-1", "64", "WINCH"})
        CHECK_MESSAGE(check_signal(name).has_value(), name);
    for (const char* name : {"", "0", "65", "-9", "NOTHING", "RTMIN-1", "RTMIN+99", "SIG", "TERM "})
        CHECK_MESSAGE(!check_signal(name).has_value(), name);
}
