#include "tests/unit/store/fixture.h"
#include "userspace/store/images.h"

using namespace raind;
using namespace raind::store;
using test::Fixture;

TEST_CASE("an image comes back, and a new pull replaces it") {
    Fixture f;
    core::ImageRecord in{
        "library/busybox", "1.36", "sha256:aa", "sha256:bb", {"l1", "l2"}, {"b1"}, 99, {5}, {6}};
    REQUIRE(f.store->images().put(in).has_value());
    in.manifest_digest = "sha256:cc";
    REQUIRE(f.store->images().put(in).has_value());
    in.reference = "latest";
    REQUIRE(f.store->images().put(in).has_value());
    f.open();
    const auto list = *f.store->images().list();
    REQUIRE(list.size() == 2);
    CHECK(list[0].reference == "1.36");
    CHECK(list[0].manifest_digest == "sha256:cc");
    CHECK(list[0].config_digest == "sha256:bb");
    CHECK(list[0].layers == std::vector<std::string>{"l1", "l2"});
    CHECK(list[0].blobs == std::vector<std::string>{"b1"});
    CHECK(list[0].size_bytes == 99);
    CHECK(list[0].created_at.ns == 5);
    CHECK(list[0].pulled_at.ns == 6);
    REQUIRE(f.store->images().remove("library/busybox", "1.36").has_value());
    CHECK_FALSE(f.store->images().find("library/busybox", "1.36")->has_value());
    CHECK(f.store->images().find("library/busybox", "latest")->has_value());
}
