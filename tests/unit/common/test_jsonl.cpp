#include <doctest/doctest.h>

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
