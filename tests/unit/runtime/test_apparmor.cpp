#include <doctest/doctest.h>
#include <string>

#include "userspace/runtime/apparmor.h"

using namespace raind;
using namespace raind::runtime;

TEST_CASE("only a profile that is enforced counts") {
    constexpr std::string_view kList =
        "raind-default-x (enforce)\nother (complain)\nraind-default (enforce)\n";
    CHECK(is_enforced(kList, "raind-default"));
    CHECK_FALSE(is_enforced(kList, "other"));
    CHECK_FALSE(is_enforced(kList, "default"));
    CHECK_FALSE(is_enforced("raind-default (complain)\n", "raind-default"));
    CHECK_FALSE(is_enforced("", "raind-default"));
}

TEST_CASE("the profile's text names it, and keeps the dangerous things out") {
    const std::string text(default_apparmor_text());
    CHECK(text.find("profile " + std::string(kAppArmorProfile) + " ") != std::string::npos);
    for (const char* rule :
         {"deny mount,", "deny umount,", "deny pivot_root,", "deny network packet,",
          "deny capability sys_module,", "deny /proc/sys/** wkl,", "deny /dev/mem ",
          "deny /sys/kernel/security", "signal (receive) peer=unconfined,"})
        CHECK_MESSAGE(text.find(rule) != std::string::npos, rule);
    CHECK(text.find("unconfined,\n  change_profile") == std::string::npos);
}
