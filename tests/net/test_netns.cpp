// Network namespaces of userspace/common, on the real kernel.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "userspace/common/fs.h"
#include "userspace/common/netns.h"

using namespace raind;

namespace {
std::string test_name() {
    return fmt::format("rdtest-{}-ns", ::getpid());
}

std::uint64_t inode_here() {
    return NetnsRef::current()->inode().value();
}
}  // namespace

TEST_CASE("a named namespace is made once, opened again and removed") {
    const std::string name = test_name();
    auto made = ensure_named_netns(name);
    REQUIRE(made.has_value());
    CHECK(named_netns_exists(name));
    CHECK(made->inode().value() != inode_here());
    auto again = ensure_named_netns(name);
    REQUIRE(again.has_value());
    CHECK(again->inode().value() == made->inode().value());
    CHECK(remove_named_netns(name).has_value());
    CHECK(!named_netns_exists(name));
    CHECK(remove_named_netns(name).has_value());
    CHECK(!stdfs::exists("/run/netns/" + name));
}

TEST_CASE("a file that an interrupted run left is taken over") {
    const std::string name = test_name();
    REQUIRE(stdfs::exists("/run/netns"));
    REQUIRE(open_file("/run/netns/" + name, O_CREAT | O_WRONLY, 0444).has_value());
    CHECK(!named_netns_exists(name));
    CHECK(ensure_named_netns(name).has_value());
    CHECK(named_netns_exists(name));
    CHECK(remove_named_netns(name).has_value());
}

TEST_CASE("code runs inside and the caller stays where it was") {
    const auto before = inode_here();
    auto made = NetnsRef::make();
    REQUIRE(made.has_value());
    auto inside = run_in_netns(*made, [] { return NetnsRef::current()->inode(); });
    REQUIRE(inside.has_value());
    CHECK(*inside == made->inode().value());
    CHECK(inode_here() == before);
    auto failed =
        run_in_netns(*made, []() -> Result<int> { return Error(Errc::Conflict, "said inside"); });
    REQUIRE(!failed.has_value());
    CHECK(failed.error().code() == Errc::Conflict);
    auto thrown = run_in_netns(*made, []() -> Result<int> { throw std::runtime_error("thrown"); });
    REQUIRE(!thrown.has_value());
    CHECK(thrown.error().message() == "thrown");
}

TEST_CASE("the namespace of a process, by number and by descriptor") {
    const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
    REQUIRE(self.valid());
    CHECK(NetnsRef::of_pidfd(self.get())->inode().value() == inode_here());
    CHECK(NetnsRef::of_pid(::getpid())->inode().value() == inode_here());
}

TEST_CASE("bad names and other files are refused") {
    CHECK(!ensure_named_netns("../x").has_value());
    CHECK(!ensure_named_netns("").has_value());
    CHECK(!NetnsRef::open_named("..").has_value());
    CHECK(!remove_named_netns("a/b").has_value());
    CHECK(NetnsRef::open_path("/proc/self/ns/mnt").error().code() == Errc::InvalidArgument);
    CHECK(NetnsRef::open_path("/etc/passwd").error().code() == Errc::InvalidArgument);
    CHECK(NetnsRef::open_named("rdtest-absent").error().code() == Errc::NotFound);
}
