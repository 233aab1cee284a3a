#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "userspace/common/fs.h"

using namespace raind;

TEST_CASE("atomic write replaces the whole file with the asked mode") {
    const auto dir = TempDir::make("/tmp", "raind-fs-");
    REQUIRE(dir.has_value());
    const auto file = dir->path() / "a";
    REQUIRE(write_file_atomic(file, "first", 0640).has_value());
    REQUIRE(write_file_atomic(file, "second", 0600).has_value());
    CHECK(*read_file(file) == "second");
    struct stat info{};
    REQUIRE(stat(file.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    CHECK(read_file(dir->path() / "absent").error().code() == Errc::NotFound);
    CHECK(read_file(file, 3).error().code() == Errc::TooLarge);
}

TEST_CASE("remove_tree removes links, not what they point to") {
    const auto dir = TempDir::make("/tmp", "raind-fs-");
    REQUIRE(dir.has_value());
    REQUIRE(make_dirs(dir->path() / "outside").has_value());
    REQUIRE(write_file_atomic(dir->path() / "outside" / "kept", "x").has_value());
    REQUIRE(make_dirs(dir->path() / "tree" / "deep").has_value());
    REQUIRE(symlink("../outside", (dir->path() / "tree" / "link").c_str()) == 0);
    REQUIRE(remove_tree(dir->path() / "tree").has_value());
    CHECK_FALSE(stdfs::exists(dir->path() / "tree"));
    CHECK(stdfs::exists(dir->path() / "outside" / "kept"));
    CHECK(remove_tree(dir->path() / "never").has_value());
}

TEST_CASE("remove_tree: a tree deeper than any path, with few descriptors") {
    const auto dir = TempDir::make("/tmp", "raind-fs-");
    REQUIRE(dir.has_value());
    REQUIRE(make_dirs(dir->path() / "tree").has_value());
    {
        UniqueFd at(open((dir->path() / "tree").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        for (int depth = 0; depth < 3000; depth++) {
            REQUIRE(mkdirat(at.get(), "deeper", 0755) == 0);
            REQUIRE(mkdirat(at.get(), ".moved-up-0", 0755) == 0);
            UniqueFd file(openat(at.get(), "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
            REQUIRE(file.get() >= 0);
            at.reset(openat(at.get(), "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            REQUIRE(at.get() >= 0);
        }
    }
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit few{100, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    const Status removed = remove_tree(dir->path() / "tree");
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK_MESSAGE(removed.has_value(), (removed ? "" : removed.error().message()));
    CHECK_FALSE(stdfs::exists(dir->path() / "tree"));
}

TEST_CASE("a lock is exclusive and ends with its descriptor") {
    const auto dir = TempDir::make("/tmp", "raind-fs-");
    const auto path = dir->path() / "lock";
    auto first = lock_file(path);
    REQUIRE(first.has_value());
    CHECK(lock_file(path).error().code() == Errc::Conflict);
    first->reset();
    CHECK(lock_file(path).has_value());
}
