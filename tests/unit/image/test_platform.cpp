#include <doctest/doctest.h>

#include "userspace/image/platform.h"

using raind::image::Platform;

TEST_CASE("platform: from the fields of a request") {
    CHECK(*Platform::from("", "") == Platform::host());
    CHECK(Platform::host().os == "linux");
    CHECK(Platform::from("linux", "x86_64")->str() == "linux/amd64");
    CHECK(Platform::from("", "aarch64")->arch == "arm64");
    CHECK(Platform::from("linux", "arm/v7")->str() == "linux/arm/v7");
    CHECK(Platform::from("windows", "amd64")->os == "windows");
    for (const char* arch : {"/", "arm/", "a b", "ARM", "../x"})
        CHECK_FALSE(Platform::from("linux", arch).has_value());
}
