#include <doctest/doctest.h>

#include "userspace/bpf/kernel.h"

using namespace raind;

TEST_CASE("kernels from 6.1 on") {
    for (const char* release :
         {"6.1.0-31-amd64", "6.1", "6.12.117+deb12-cloud-amd64", "7.0.1", "10.0"})
        CHECK_MESSAGE(bpf::require_release(release).has_value(), release);
    for (const char* release : {"5.10.0-46-cloud-amd64", "6.0.19", "6", "2.6.60", "", "linux"}) {
        const Status refused = bpf::require_release(release);
        REQUIRE_MESSAGE(!refused.has_value(), release);
        CHECK(refused.error().code() == Errc::Unavailable);
    }
    CHECK(bpf::require_release("5.10.0-46-amd64").error().message() ==
          "kernel 5.10.0-46-amd64 is too old: 6.1 or newer is needed");
    CHECK(bpf::require_kernel().has_value());
}
