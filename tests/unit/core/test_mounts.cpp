#include <doctest/doctest.h>

#include "userspace/core/mounts.h"

using namespace raind;
using namespace raind::core;

TEST_CASE("a mount is a path of the host or a named volume") {
    const auto bind = parse_mount("/srv//data/:/data/:ro");
    REQUIRE(bind.has_value());
    CHECK(*bind == MountRecord{MountKind::Bind, "/srv/data", "/data", true, false});
    const auto volume = parse_mount("db_1.x-y:/var/lib/mysql");
    REQUIRE(volume.has_value());
    CHECK(*volume == MountRecord{MountKind::Volume, "db_1.x-y", "/var/lib/mysql", false, true});
    CHECK_FALSE(parse_mount("db:/data:rw,nocopy")->copy);
    CHECK_FALSE(parse_mount("db:/data:rw")->read_only);
}

TEST_CASE("what is no mount is refused") {
    for (const char* text : {"",
                             "/data",
                             "db",
                             ":/data",
                             "db:",
                             "db:data",
                             "../x:/data",
                             ".:/data",
                             "-x:/data",
                             "a/b:/data",
                             "a b:/data",
                             "db:/a/../b",
                             "/srv/../etc:/data",
                             "db:/data:",
                             "db:/data:ro,rw",
                             "db:/data:ro,ro",
                             "db:/data:z",
                             "/srv:/data:nocopy",
                             "db:/data:ro:x",
                             "db:/da\nta",
                             "/sr\x1bv:/data",
                             "db:/\xff"}) {
        CAPTURE(text);
        const auto mount = parse_mount(text);
        REQUIRE_FALSE(mount.has_value());
        CHECK(mount.error().code() == Errc::InvalidArgument);
    }
    CHECK_FALSE(parse_mount("db:/" + std::string(256, 'a')).has_value());
    CHECK_FALSE(parse_mount(std::string(129, 'a') + ":/data").has_value());
    CHECK(parse_mount(std::string(128, 'a') + ":/data").has_value());
    std::string deep = "db:";
    for (int i = 0; i < 2100; ++i)
        deep += "/a";
    CHECK_FALSE(parse_mount(deep).has_value());
}

TEST_CASE("what the runtime puts into a container is not covered") {
    for (const char* target : {"/", "//", "/.", "/proc", "/proc/self", "/sys/fs/cgroup", "/dev",
                               "/dev/shm", "/run", "/run/x", "/var/run", "/boot"}) {
        CAPTURE(target);
        const auto mount = parse_mount(std::string("db:") + target);
        REQUIRE_FALSE(mount.has_value());
        CHECK(mount.error().message() == std::string("invalid mount destination: ") + target);
    }
    for (const char* target : {"/process", "/system", "/devices", "/runtime", "/var/running"})
        CHECK(parse_mount(std::string("db:") + target).has_value());
}

TEST_CASE("mounts of one container do not lie on each other, and parents come first") {
    CHECK_FALSE(parse_mounts({"a:/data", "b:/data/"}).has_value());
    const auto mounts = parse_mounts({"a:/x/y/z", "b:/x", "c:/w/v", "a:/b"});
    REQUIRE(mounts.has_value());
    REQUIRE(mounts->size() == 4);
    CHECK((*mounts)[0].target == "/x");
    CHECK((*mounts)[1].target == "/b");
    CHECK((*mounts)[2].target == "/w/v");
    CHECK((*mounts)[3].target == "/x/y/z");
    CHECK_FALSE(parse_mounts(std::vector<std::string>(129, "a:/data")).has_value());
}
