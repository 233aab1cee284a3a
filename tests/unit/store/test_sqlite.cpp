#include <doctest/doctest.h>
#include <limits>
#include <sys/stat.h>

#include "userspace/common/fs.h"
#include "userspace/store/sqlite.h"

using namespace raind;
using namespace raind::store;

namespace {

struct File {
    TempDir dir = *TempDir::make("/tmp", "raind-sqlite-");
    std::string path = (dir.path() / "x.db").string();
};

std::int64_t number(SqliteDb& db, const char* sql) {
    auto stmt = db.prepare(sql);
    REQUIRE(stmt.has_value());
    REQUIRE(*stmt->step());
    return stmt->integer(0);
}

}  // namespace

TEST_CASE("a connection is WAL, FULL, with foreign keys, and the file is for its owner only") {
    File file;
    auto db = SqliteDb::open(file.path, {});
    REQUIRE(db.has_value());
    CHECK(number(**db, "PRAGMA synchronous") == 2);
    CHECK(number(**db, "PRAGMA foreign_keys") == 1);
    struct stat st{};
    REQUIRE(stat(file.path.c_str(), &st) == 0);
    CHECK((st.st_mode & 07777) == 0600);
}

TEST_CASE("values come back as they went in") {
    File file;
    auto db = *SqliteDb::open(file.path, {});
    REQUIRE(db->exec("CREATE TABLE t (i INTEGER, s TEXT, n TEXT) STRICT").has_value());
    const std::string odd("a\0b'\"", 5);
    auto insert = *db->prepare("INSERT INTO t VALUES (?1, ?2, ?3)");
    REQUIRE(insert.bind(std::int64_t{-5}, odd, std::optional<std::string>()).run().has_value());
    auto select = *db->prepare("SELECT i, s, n FROM t");
    REQUIRE(*select.step());
    CHECK(select.integer(0) == -5);
    CHECK(select.text(1) == odd);
    CHECK(select.is_null(2));
    CHECK_FALSE(*select.step());
}

TEST_CASE("a number that SQLite cannot hold is refused, not wrapped") {
    File file;
    auto db = *SqliteDb::open(file.path, {});
    REQUIRE(db->exec("CREATE TABLE t (i INTEGER) STRICT").has_value());
    auto insert = *db->prepare("INSERT INTO t VALUES (?1)");
    CHECK_FALSE(insert.bind(std::numeric_limits<std::uint64_t>::max()).run().has_value());
}

TEST_CASE("a unique violation is AlreadyExists") {
    File file;
    auto db = *SqliteDb::open(file.path, {});
    REQUIRE(db->exec("CREATE TABLE t (i INTEGER PRIMARY KEY) STRICT; INSERT INTO t VALUES (1)"));
    auto insert = *db->prepare("INSERT INTO t VALUES (1)");
    auto done = insert.run();
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().code() == Errc::AlreadyExists);
}

TEST_CASE("migrations run once, in order, each as a whole") {
    File file;
    const std::vector<Migration> one = {{1, "CREATE TABLE a (x INTEGER) STRICT"}};
    const std::vector<Migration> two = {
        {1, "CREATE TABLE a (x INTEGER) STRICT"},
        {2,
         "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 7; CREATE TABLE b (z TEXT) STRICT"}};
    const std::vector<Migration> broken = {
        {1, "CREATE TABLE a (x INTEGER) STRICT"},
        {2, "CREATE TABLE c (x INTEGER) STRICT; CREATE TABLE a (x INTEGER) STRICT"}};
    auto db = *SqliteDb::open(file.path, {});
    REQUIRE(migrate(*db, one).has_value());
    REQUIRE(db->exec("INSERT INTO a VALUES (3)").has_value());
    CHECK_FALSE(migrate(*db, broken).has_value());
    CHECK(*db->user_version() == 1);
    CHECK(number(*db, "SELECT count(*) FROM sqlite_schema WHERE name = 'c'") == 0);
    REQUIRE(migrate(*db, two).has_value());
    CHECK(*db->user_version() == 2);
    CHECK(number(*db, "SELECT x * 10 + y FROM a") == 37);
    REQUIRE(migrate(*db, two).has_value());
    auto newer = migrate(*db, one);
    REQUIRE_FALSE(newer.has_value());
    CHECK(newer.error().code() == Errc::Unsupported);
    CHECK(newer.error().message().find(file.path) != std::string::npos);
}
