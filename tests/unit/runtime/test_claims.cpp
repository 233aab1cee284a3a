#include <doctest/doctest.h>

#include "userspace/runtime/claims.h"
#include "userspace/runtime/paths.h"

using namespace raind;
using namespace raind::runtime;

namespace {

struct Host {
    TempDir dir = std::move(*TempDir::make("/tmp", "raind-claims-"));
    Claims claims{dir.path() / "instances.json"};

    stdfs::path instance(const char* name) const {
        REQUIRE(Paths(dir.path() / name).make().has_value());
        return dir.path() / name;
    }
};

std::vector<Claim> wanted(const std::string& netns, const std::string& cgroup,
                          const std::string& bpffs) {
    auto out = claims_of(netns, cgroup, bpffs);
    REQUIRE(out.has_value());
    return std::move(*out);
}

}  // namespace

TEST_CASE("each thing of the host belongs to one instance") {
    const Host host;
    const auto one = host.instance("one"), two = host.instance("two");
    REQUIRE(host.claims.take(one, wanted("raind-a", "/a", "/sys/fs/bpf/a")).has_value());
    CHECK(host.claims.take(one, wanted("raind-a", "/a", "/sys/fs/bpf/a")).has_value());
    CHECK(host.claims.take(two, wanted("raind-b", "/b", "/sys/fs/bpf/b")).has_value());
    for (const auto& [netns, cgroup, bpffs] :
         {std::tuple("raind-a", "/c", "/sys/fs/bpf/c"), std::tuple("raind-c", "a", "/sys/fs/bpf/c"),
          std::tuple("raind-c", "/a/below", "/sys/fs/bpf/c"),
          std::tuple("raind-c", "/c", "/sys/fs/bpf/./a")}) {
        const auto taken = host.claims.take(host.dir.path() / "new", wanted(netns, cgroup, bpffs));
        REQUIRE_FALSE(taken.has_value());
        CHECK(taken.error().code() == Errc::Conflict);
        CHECK(taken.error().message().find(one.string()) != std::string::npos);
    }
    // A name that only begins alike is another one.
    CHECK(host.claims.take(two, wanted("raind-c", "/ab", "/sys/fs/bpf/ab")).has_value());
    CHECK_FALSE(stdfs::exists(host.dir.path() / "new"));
}

TEST_CASE("a refusal claims nothing") {
    const Host host;
    const auto one = host.instance("one"), two = host.instance("two"),
               three = host.instance("three");
    REQUIRE(host.claims.take(one, wanted("raind-a", "/a", "/sys/fs/bpf/a")).has_value());
    CHECK_FALSE(host.claims.take(two, wanted("raind-b", "/b", "/sys/fs/bpf/a")).has_value());
    CHECK(host.claims.take(three, wanted("raind-b", "/b", "/sys/fs/bpf/b")).has_value());
}

TEST_CASE("a claim ends by release, or with the store of its instance") {
    const Host host;
    const auto one = host.instance("one"), two = host.instance("two");
    REQUIRE(host.claims.take(one, wanted("raind-a", "/a", "/sys/fs/bpf/a")).has_value());
    SUBCASE("release") {
        REQUIRE(host.claims.release(one).has_value());
    }
    SUBCASE("store") {
        REQUIRE(remove_tree(one).has_value());
    }
    CHECK(host.claims.take(two, wanted("raind-a", "/a", "/sys/fs/bpf/a")).has_value());
}

TEST_CASE("the process's own network is one of them") {
    const Host host;
    const auto one = host.instance("one"), two = host.instance("two");
    REQUIRE(host.claims.take(one, wanted("", "/a", "/sys/fs/bpf/a")).has_value());
    CHECK_FALSE(host.claims.take(two, wanted("", "/b", "/sys/fs/bpf/b")).has_value());
    CHECK(host.claims.take(two, wanted("raind-b", "/b", "/sys/fs/bpf/b")).has_value());
}

TEST_CASE("a damaged file is refused") {
    const Host host;
    REQUIRE(write_file_rename(host.dir.path() / "instances.json", "[{").has_value());
    const auto taken = host.claims.take(host.instance("one"), {});
    REQUIRE_FALSE(taken.has_value());
    CHECK(taken.error().message().find("damaged") != std::string::npos);
}
