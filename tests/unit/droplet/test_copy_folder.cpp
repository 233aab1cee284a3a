#include <cstdio>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "droplet/copy_folder.h"
#include "userspace/common/fs.h"

using namespace raind;
using namespace raind::droplet;

namespace {

struct Folders {
    TempDir dir = std::move(*TempDir::make("/var/tmp", "raind-copy-"));
    std::string from = dir.path() / "from";
    std::string to = dir.path() / "to";

    Folders() {
        REQUIRE(make_dirs(from).has_value());
        REQUIRE(make_dirs(to, 0700).has_value());
    }
    Status copy() const {
        const UniqueFd source(::open(from.c_str(), O_PATH | O_DIRECTORY));
        const UniqueFd target(::open(to.c_str(), O_PATH | O_DIRECTORY));
        return copy_folder(source.get(), target.get());
    }
    struct stat info(const std::string& name) const {
        struct stat out{};
        REQUIRE(::lstat((to + "/" + name).c_str(), &out) == 0);
        return out;
    }
};

void write_text(const std::string& path, const std::string& text) {
    REQUIRE(write_file_rename(path, text, 0640).has_value());
}

}  // namespace

TEST_CASE("content, modes, times, links and attributes are the same") {
    const Folders f;
    write_text(f.from + "/file", std::string(3U << 20, 'x'));
    REQUIRE(::chmod((f.from + "/file").c_str(), 04751) == 0);
    REQUIRE(::link((f.from + "/file").c_str(), (f.from + "/again").c_str()) == 0);
    REQUIRE(make_dirs(f.from + "/a/b").has_value());
    write_text(f.from + "/a/b/deep", "deep");
    REQUIRE(::link((f.from + "/a/b/deep").c_str(), (f.from + "/a/other").c_str()) == 0);
    REQUIRE(::symlink("/etc/passwd", (f.from + "/link").c_str()) == 0);
    REQUIRE(::mkfifo((f.from + "/fifo").c_str(), 0600) == 0);
    REQUIRE(::chmod((f.from + "/fifo").c_str(), 0622) == 0);
    REQUIRE(::chmod((f.from + "/a").c_str(), 01777) == 0);
    REQUIRE(::chmod(f.from.c_str(), 02750) == 0);
    const bool attributes = ::setxattr((f.from + "/file").c_str(), "user.a", "b", 1, 0) == 0;
    const timespec times[2] = {{1000, 5}, {2000, 6}};
    REQUIRE(::utimensat(AT_FDCWD, (f.from + "/a").c_str(), times, 0) == 0);
    REQUIRE(::utimensat(AT_FDCWD, (f.from + "/link").c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);

    const auto done = f.copy();
    REQUIRE_MESSAGE(done.has_value(), done.error().message());
    CHECK(*read_file(f.to + "/file") == std::string(3U << 20, 'x'));
    CHECK((f.info("file").st_mode & 07777) == 04751);
    CHECK(f.info("file").st_ino == f.info("again").st_ino);
    CHECK(f.info("a/b/deep").st_ino == f.info("a/other").st_ino);
    CHECK(*read_file(f.to + "/a/b/deep") == "deep");
    CHECK(stdfs::read_symlink(f.to + "/link") == "/etc/passwd");
    CHECK(S_ISFIFO(f.info("fifo").st_mode));
    CHECK((f.info("fifo").st_mode & 07777) == 0622);
    CHECK((f.info("a").st_mode & 07777) == 01777);
    CHECK((f.info("").st_mode & 07777) == 02750);
    CHECK(f.info("a").st_mtim.tv_sec == 2000);
    CHECK(f.info("a").st_mtim.tv_nsec == 6);
    CHECK(f.info("link").st_mtim.tv_sec == 2000);
    char value = 0;
    if (attributes)
        CHECK((::getxattr((f.to + "/file").c_str(), "user.a", &value, 1) == 1 && value == 'b'));
}

TEST_CASE("owners are the same") {
    if (::geteuid() != 0) {
        std::puts("SKIP: owners: not root");
        return;
    }
    const Folders f;
    write_text(f.from + "/file", "x");
    REQUIRE(::symlink("x", (f.from + "/link").c_str()) == 0);
    REQUIRE(::chown((f.from + "/file").c_str(), 33, 44) == 0);
    REQUIRE(::chmod((f.from + "/file").c_str(), 06755) == 0);
    REQUIRE(::lchown((f.from + "/link").c_str(), 55, 66) == 0);
    REQUIRE(::chown(f.from.c_str(), 77, 88) == 0);
    REQUIRE(f.copy().has_value());
    CHECK(f.info("file").st_uid == 33);
    CHECK(f.info("file").st_gid == 44);
    CHECK((f.info("file").st_mode & 07777) == 06755);
    CHECK(f.info("link").st_uid == 55);
    CHECK(f.info("link").st_gid == 66);
    CHECK(f.info("").st_uid == 77);
}

TEST_CASE("what is in the way, too deep or no folder is an error") {
    const Folders f;
    write_text(f.from + "/file", "new");
    write_text(f.to + "/file", "old");
    CHECK_FALSE(f.copy().has_value());
    CHECK(*read_file(f.to + "/file") == "old");

    const Folders deep;
    std::string path = deep.from;
    for (int i = 0; i < 300; ++i)
        path += "/a";
    REQUIRE(make_dirs(path).has_value());
    CHECK(deep.copy().error().code() == Errc::TooLarge);

    const Folders plain;
    const UniqueFd file(::open("/dev/null", O_RDONLY));
    CHECK_FALSE(copy_folder(file.get(), file.get()).has_value());
}
