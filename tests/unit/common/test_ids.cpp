#include <doctest/doctest.h>
#include <set>

#include "userspace/common/clock.h"
#include "userspace/common/crypto.h"
#include "userspace/common/ids.h"

using namespace raind;

TEST_CASE("ULIDs are 26 lower-case Crockford characters and differ") {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) {
        const std::string id = make_ulid();
        CHECK(is_ulid(id));
        CHECK(seen.insert(id).second);
    }
    CHECK_FALSE(is_ulid("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    CHECK_FALSE(is_ulid("01arz3ndektsv4rrffq69g5fai"));
    CHECK(short_id("01kx4m2r7vqaxxxxxxxxxxxxxx") == "01kx4m2r7vqa");
}

TEST_CASE("SHA-256 of the FIPS 180-4 example") {
    CHECK(to_hex(sha256("abc")) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("times are RFC 3339 with nanoseconds") {
    CHECK(rfc3339({}) == "0001-01-01T00:00:00Z");
    CHECK(rfc3339({1'700'000'000'123'456'789}) == "2023-11-14T22:13:20.123456789Z");
    CHECK(make_uuid().size() == 36);
}
