#include <algorithm>
#include <atomic>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "userspace/common/folder_names.h"
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

TEST_CASE("what a killed write left goes with the next one, what is being written stays") {
    const auto dir = TempDir::make("/tmp", "raind-fs-");
    REQUIRE(dir.has_value());
    const auto file = dir->path() / "a";
    const auto left = dir->path() / ".a.tmp-abc123";
    const auto held = dir->path() / ".a.tmp-abc456";
    const std::vector others = {dir->path() / ".b.tmp-abc123", dir->path() / "a.abc123",
                                dir->path() / ".a.tmp-", dir->path() / ".a.tmp-abc1234"};
    const auto make = [](const stdfs::path& path) {
        auto fd = open_file(path, O_CREAT | O_WRONLY, 0600);
        REQUIRE(fd.has_value());
        return std::move(*fd);
    };
    make(left);
    for (const auto& other : others)
        make(other);
    {
        const UniqueFd writer = make(held);
        REQUIRE(flock(writer.get(), LOCK_EX) == 0);
        REQUIRE(write_file_atomic(file, "first").has_value());
        CHECK_FALSE(stdfs::exists(left));
        CHECK(stdfs::exists(held));
    }
    REQUIRE(write_file_rename(file, "second").has_value());
    CHECK_FALSE(stdfs::exists(held));
    for (const auto& other : others)
        CHECK_MESSAGE(stdfs::exists(other), other);
    CHECK(*read_file(file) == "second");
}

TEST_CASE("many writers of one file: it is always whole, and nothing is left") {
    const auto dir = TempDir::make("/tmp", "raind-fs-");
    REQUIRE(dir.has_value());
    const auto file = dir->path() / "a";
    std::vector<std::jthread> writers;
    std::atomic<int> failures = 0;
    for (char letter : {'a', 'b', 'c', 'd'})
        writers.emplace_back([&, letter] {
            for (int i = 0; i < 200; ++i)
                failures += !write_file_rename(file, std::string(5000, letter)).has_value();
        });
    writers.clear();
    CHECK(failures == 0);
    const std::string text = *read_file(file);
    CHECK(text == std::string(5000, text.front()));
    CHECK(std::distance(stdfs::directory_iterator(dir->path()), stdfs::directory_iterator()) == 1);
}

TEST_CASE("the names in an open folder, as often as they are asked for") {
    const auto dir = TempDir::make("/tmp", "raind-fs-");
    REQUIRE(dir.has_value());
    const UniqueFd folder = open_file(dir->path(), O_RDONLY | O_DIRECTORY).value();
    CHECK(names_in(folder.get())->empty());
    for (const char* name : {".hidden", "b", "a"})
        REQUIRE(write_file_rename(dir->path() / name, "x").has_value());
    for (int i = 0; i < 2; ++i) {
        auto names = names_in(folder.get()).value();
        std::ranges::sort(names);
        CHECK(names == std::vector<std::string>{".hidden", "a", "b"});
    }
    const UniqueFd file = open_file(dir->path() / "a", O_RDONLY).value();
    CHECK_FALSE(names_in(file.get()).has_value());
}

TEST_CASE("a copy has the holes of its source") {
    const auto dir = TempDir::make("/var/tmp", "raind-fs-");
    REQUIRE(dir.has_value());
    constexpr off_t kHole = 64L << 20;
    const auto open_new = [&](const char* name) {
        return open_file(dir->path() / name, O_CREAT | O_RDWR, 0600).value();
    };
    const UniqueFd source = open_new("source");
    const std::string text(100'000, 'x');
    REQUIRE(write_all(source.get(), text).has_value());
    REQUIRE(lseek(source.get(), kHole, SEEK_SET) == kHole);
    REQUIRE(write_all(source.get(), "behind the hole").has_value());
    REQUIRE(ftruncate(source.get(), 2 * kHole) == 0);
    const UniqueFd target = open_new("target");
    REQUIRE(copy_content(source.get(), target.get()).has_value());
    struct stat info{};
    REQUIRE(fstat(target.get(), &info) == 0);
    CHECK(info.st_size == 2 * kHole);
    CHECK(info.st_blocks * 512 < 1L << 20);
    std::string read(text.size() + 10, '\1');
    CHECK(pread(target.get(), read.data(), read.size(), 0) == static_cast<ssize_t>(read.size()));
    CHECK(read == text + std::string(10, '\0'));
    read.resize(15);
    CHECK(pread(target.get(), read.data(), read.size(), kHole) == 15);
    CHECK(read == "behind the hole");
    const UniqueFd empty = open_new("empty");
    const UniqueFd copy = open_new("copy");
    REQUIRE(copy_content(empty.get(), copy.get()).has_value());
    REQUIRE(fstat(copy.get(), &info) == 0);
    CHECK(info.st_size == 0);
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
