#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "userspace/common/jsonl.h"

using namespace raind;

TEST_CASE("lines survive rotation and the tail spans it") {
    const auto dir = TempDir::make("/tmp", "raind-jsonl-");
    const auto path = dir->path() / "events.jsonl";
    auto file = JsonlFile::open(path, {.rotate_bytes = 20, .backups = 2, .mode = 0640});
    REQUIRE(file.has_value());
    for (int i = 0; i < 9; ++i)
        REQUIRE(file->append("line-" + std::to_string(i) + "\n").has_value());
    CHECK(*tail_lines(path, 3, 1000) == "line-6\nline-7\nline-8\n");
    CHECK(*tail_lines(path, 100, 1000) == "line-4\nline-5\nline-6\nline-7\nline-8\n");
    CHECK(*tail_lines(path, 100, 10) == "line-8\n");
    CHECK(stdfs::exists(path.string() + ".2"));
    CHECK_FALSE(stdfs::exists(path.string() + ".3"));
    CHECK(tail_lines(dir->path() / "absent", 5, 100)->empty());
}

namespace {

void put(const stdfs::path& path, std::string_view bytes) {
    REQUIRE(write_file_rename(path, bytes, 0600).has_value());
}

// Bounds the size of files for the life of the object: a write over it fails with EFBIG, after a
// part of it was written, as on a full disk.
class FileLimit {
  public:
    explicit FileLimit(rlim_t bytes) {
        signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &old_);
        const rlimit now{bytes, old_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &now);
    }
    FileLimit(const FileLimit&) = delete;
    FileLimit& operator=(const FileLimit&) = delete;
    ~FileLimit() { setrlimit(RLIMIT_FSIZE, &old_); }

  private:
    rlimit old_{};
};

}  // namespace

TEST_CASE("a line that was cut off is removed when the file is opened") {
    const auto dir = TempDir::make("/tmp", "raind-jsonl-");
    const auto path = dir->path() / "events.jsonl";
    put(path, "{\"a\":1}\n{\"b\":");
    CHECK(*tail_lines(path, 5, 1000) == "{\"a\":1}\n");
    auto file = JsonlFile::open(path, {});
    REQUIRE(file->append("{\"c\":1}\n").has_value());
    CHECK(*read_file(path) == "{\"a\":1}\n{\"c\":1}\n");
    struct stat info{};
    REQUIRE(stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0640);
    put(path, "no end at all");
    REQUIRE(JsonlFile::open(path, {}).has_value());
    CHECK(read_file(path)->empty());
}

TEST_CASE("a write that stops half way leaves whole lines, and room is used again") {
    const auto dir = TempDir::make("/tmp", "raind-jsonl-");
    const auto path = dir->path() / "events.jsonl";
    auto file = JsonlFile::open(path, {});
    REQUIRE(file->append("first\n").has_value());
    {
        const FileLimit limit(10);
        CHECK_FALSE(file->append("second line\n").has_value());
        CHECK(*read_file(path) == "first\n");
        CHECK(file->append("3\n").has_value());
    }
    REQUIRE(file->append("second line\n").has_value());
    CHECK(*read_file(path) == "first\n3\nsecond line\n");
}

TEST_CASE("a rotation that got stuck goes on later") {
    const auto dir = TempDir::make("/tmp", "raind-jsonl-");
    const auto path = dir->path() / "events.jsonl";
    auto file = JsonlFile::open(path, {.rotate_bytes = 8, .backups = 1, .mode = 0640});
    REQUIRE(file->append("one\n").has_value());
    // Somebody else moved the file away: the rotation finds nothing to rename.
    REQUIRE(unlink(path.c_str()) == 0);
    REQUIRE(file->append("twotwo\n").has_value());
    REQUIRE(file->append("three\n").has_value());
    CHECK(*tail_lines(path, 5, 100) == "twotwo\nthree\n");
}

TEST_CASE("the tail ends at the first line that does not fit, over files") {
    const auto dir = TempDir::make("/tmp", "raind-jsonl-");
    const auto path = dir->path() / "events.jsonl";
    const std::string big(200'000, 'x');
    put(path, "d\ne\n");
    put(path.string() + ".1", "b\n" + big + "\n");
    put(path.string() + ".2", "a\n");
    CHECK(*tail_lines(path, 100, 1000) == "d\ne\n");
    CHECK(*tail_lines(path, 3, 1'000'000) == big + "\nd\ne\n");
    CHECK(*tail_lines(path, 4, 1'000'000) == "b\n" + big + "\nd\ne\n");
    CHECK(*tail_lines(path, 100, 1'000'000) == "a\nb\n" + big + "\nd\ne\n");
    CHECK(tail_lines(path, 0, 1000)->empty());
    CHECK(*tail_lines(path, 1, 4) == "e\n");
    CHECK(*tail_lines(path, 2, 4) == "d\ne\n");
    CHECK(*tail_lines(path, 2, 3) == "e\n");
}
