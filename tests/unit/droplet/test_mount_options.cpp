#include <doctest/doctest.h>
#include <linux/mount.h>

#include "droplet/mount_options.h"

using namespace raind::droplet;

TEST_CASE("mount options: the last one wins, data is left over") {
    const auto o = parse_mount_options({"ro", "nosuid", "mode=755", "rw", "size=1m", "noexec"});
    REQUIRE(o);
    CHECK(o->set == (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
    CHECK(o->clear == MOUNT_ATTR_RDONLY);
    CHECK(o->data == std::vector<std::string>{"mode=755", "size=1m"});
    CHECK(o->has_data("mode"));
    CHECK_FALSE(o->has_data("mod"));
}

TEST_CASE("mount options: binds, propagation, recursive attributes, access times") {
    const auto o = parse_mount_options({"rbind", "rprivate", "rro", "noatime", "idmap"});
    REQUIRE(o);
    CHECK(o->bind);
    CHECK(o->recursive_bind);
    CHECK(o->recursive_propagation);
    CHECK(o->propagation == 1U << 18);
    CHECK(o->recursive_set == MOUNT_ATTR_RDONLY);
    CHECK(o->set == MOUNT_ATTR_NOATIME);
    CHECK(o->idmap);
    const auto strict = parse_mount_options({"noatime", "strictatime"});
    REQUIRE(strict);
    CHECK(strict->set == MOUNT_ATTR_STRICTATIME);
}

TEST_CASE("mount options: what is known but not there is refused by name") {
    const auto o = parse_mount_options({"tmpcopyup"});
    REQUIRE_FALSE(o.has_value());
    CHECK(o.error().message() == "option \"tmpcopyup\" is not supported yet");
    CHECK_FALSE(parse_propagation("rslaves").has_value());
}

TEST_CASE("mount options: Raind's own, which no file system is to see") {
    const auto o = parse_mount_options({"bind", "x-raind.fill", "x-raind.nolinks"});
    REQUIRE(o);
    CHECK(o->fill);
    CHECK(o->no_links_source);
    CHECK(o->data.empty());
    CHECK_FALSE(parse_mount_options({"bind"})->fill);
}
