#include <doctest/doctest.h>
#include <unistd.h>

#include "userspace/runtime/bind_source.h"

using namespace raind;
using namespace raind::runtime;

namespace {

std::string refusal(const std::string& path, const std::vector<stdfs::path>& own = {}) {
    const auto source = bind_source(path, own);
    REQUIRE_FALSE(source.has_value());
    CHECK(source.error().code() == Errc::InvalidArgument);
    return source.error().message();
}

}  // namespace

TEST_CASE("folders of the system are not bound, nor what is above them") {
    for (const char* path : {"/", "/proc", "/proc/self", "/sys", "/sys/fs", "/dev", "/dev/null",
                             "/run", "/var/run", "/bin", "/usr/bin", "/usr", "/usr/local/bin"}) {
        CAPTURE(path);
        if (::access(path, F_OK) == 0)
            CHECK(refusal(path).starts_with(std::string("invalid mount source: ") + path));
    }
    // /etc may hold /etc/raind, whether it is there now or not.
    CHECK(refusal("/etc") == "invalid mount source: /etc");
    CHECK(bind_source("/usr/share", {}).has_value());
}

TEST_CASE("the instance's own folders are not bound") {
    const TempDir dir = std::move(*TempDir::make("/var/tmp", "raind-bind-"));
    REQUIRE(make_dirs(dir.path() / "root/etc/raind/cert").has_value());
    REQUIRE(make_dirs(dir.path() / "root/etc/raind-not").has_value());
    const std::vector<stdfs::path> own = {dir.path() / "root/etc/raind", dir.path() / "absent"};
    refusal(dir.path() / "root/etc/raind", own);
    refusal(dir.path() / "root/etc/raind/cert", own);
    refusal(dir.path() / "root", own);
    CHECK(bind_source(dir.path() / "root/etc/raind-not", own).has_value());
}

TEST_CASE("links are resolved before the look, and are no sources themselves") {
    const TempDir dir = std::move(*TempDir::make("/var/tmp", "raind-bind-"));
    REQUIRE(make_dirs(dir.path() / "data/deep").has_value());
    REQUIRE(::symlink("/usr", (dir.path() / "to-usr").c_str()) == 0);
    REQUIRE(::symlink("data", (dir.path() / "to-data").c_str()) == 0);
    CHECK(refusal(dir.path() / "to-data").ends_with(": a symbolic link"));
    refusal(dir.path() / "to-usr/bin");
    refusal(dir.path() / "missing");
    CHECK(*bind_source(dir.path() / "to-data/deep", {}) ==
          stdfs::canonical(dir.path() / "data/deep").string());
    CHECK(*bind_source(dir.path() / "data", {}) == stdfs::canonical(dir.path() / "data").string());
}
