#include <fcntl.h>
#include <sys/stat.h>
#include <thread>

#include "tests/unit/store/fixture.h"
#include "userspace/store/connection.h"
#include "userspace/store/schema.h"

using namespace raind;
using namespace raind::store;
using test::Fixture;

namespace {

void overwrite(const std::string& path, off_t offset, std::size_t count) {
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const std::string noise(count, '\x5a');
    REQUIRE(pwrite(fd.get(), noise.data(), noise.size(), offset) == static_cast<ssize_t>(count));
}

void expect_refusal(const Fixture& f, std::string_view word) {
    auto opened = Store::open(f.folder());
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().message().find(f.file()) != std::string::npos);
    CHECK(opened.error().message().find(word) != std::string::npos);
}

void fill(Fixture& f) {
    for (int i = 0; i < 200; ++i)
        REQUIRE(f.store->containers().insert(test::container(i)).has_value());
    f.store.reset();
}

}  // namespace

TEST_CASE("what is not committed is undone, and a transaction inside another is a savepoint") {
    Fixture f;
    {
        auto outer = *f.store->begin();
        REQUIRE(f.store->settings().set("kept", "1").has_value());
        {
            auto inner = *f.store->begin();
            REQUIRE(f.store->settings().set("dropped", "1").has_value());
        }
        {
            auto inner = *f.store->begin();
            REQUIRE(f.store->settings().set("inner", "1").has_value());
            REQUIRE(inner.commit().has_value());
        }
        REQUIRE(outer.commit().has_value());
        CHECK_FALSE(outer.commit().has_value());
    }
    {
        auto left = *f.store->begin();
        REQUIRE(f.store->settings().set("left", "1").has_value());
    }
    f.open();
    CHECK(f.store->settings().get("kept")->has_value());
    CHECK(f.store->settings().get("inner")->has_value());
    CHECK_FALSE(f.store->settings().get("dropped")->has_value());
    CHECK_FALSE(f.store->settings().get("left")->has_value());
}

TEST_CASE("threads do not see into each other's transactions") {
    Fixture f;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 25; ++i) {
                auto transaction = f.store->begin();
                const auto value = f.store->settings().get("n");
                const int n = *value ? std::stoi(**value) : 0;
                static_cast<void>(f.store->settings().set("n", std::to_string(n + 1)));
                static_cast<void>(transaction->commit());
            }
        });
    for (auto& thread : threads)
        thread.join();
    CHECK(*f.store->settings().get("n") == "100");
}

TEST_CASE("one process, one owner") {
    Fixture f;
    auto second = Store::open(f.folder());
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code() == Errc::Conflict);
    CHECK(second.error().message().find(f.file()) != std::string::npos);
}

TEST_CASE("a damaged file is refused by name and left as it is") {
    Fixture f;
    fill(f);
    SUBCASE("header") {
        overwrite(f.file(), 0, 64);
        expect_refusal(f, "damaged");
    }
    SUBCASE("page") {
        overwrite(f.file(), 4096 * 12, 8192);
        expect_refusal(f, "damaged");
    }
    SUBCASE("truncated") {
        REQUIRE(truncate(f.file().c_str(), 4096 * 5) == 0);
        expect_refusal(f, "damaged");
    }
    SUBCASE("emptied") {
        REQUIRE(truncate(f.file().c_str(), 0) == 0);
        expect_refusal(f, "empty");
        struct stat st{};
        REQUIRE(stat(f.file().c_str(), &st) == 0);
        CHECK(st.st_size == 0);
    }
    SUBCASE("removed") {
        REQUIRE(unlink(f.file().c_str()) == 0);
        expect_refusal(f, "missing");
        CHECK_FALSE(stdfs::exists(f.file()));
    }
    SUBCASE("a link") {
        REQUIRE(unlink(f.file().c_str()) == 0);
        REQUIRE(symlink("/dev/null", f.file().c_str()) == 0);
        CHECK_FALSE(Store::open(f.folder()).has_value());
    }
}

TEST_CASE("a store of version 1 is brought up with its content") {
    Fixture f;
    f.store.reset();
    stdfs::remove_all(f.folder());
    REQUIRE(make_dirs(f.folder(), 0700).has_value());
    {
        auto db = *SqliteDb::open(f.file(), {});
        REQUIRE(migrate(*db, {schema().front()}).has_value());
        REQUIRE(db->exec("INSERT INTO settings VALUES ('node', 'old')").has_value());
    }
    f.open();
    CHECK(*f.store->settings().node() == "old");
    CHECK(f.store->operations().begin("container.create", "x", "{}").has_value());
}

TEST_CASE("a full store refuses, keeps what it has, and goes on when there is room") {
    Fixture f;
    f.store.reset();
    auto connection = *Connection::open(f.file());
    SettingStore settings(*connection);
    REQUIRE(settings.set("old", "1").has_value());
    REQUIRE(connection->db().exec("PRAGMA max_page_count = 60").has_value());
    const std::string big(1 << 20, 'x');
    {
        auto transaction = *connection->begin();
        REQUIRE(settings.set("half", "1").has_value());
        auto refused = settings.set("big", big);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code() == Errc::Exhausted);
        // SQLite has undone the whole transaction: it must not count as done.
        CHECK_FALSE(transaction.commit().has_value());
    }
    CHECK(*settings.get("old") == "1");
    CHECK_FALSE(settings.get("half")->has_value());
    REQUIRE(connection->db().exec("PRAGMA max_page_count = 100000").has_value());
    CHECK(settings.set("big", big).has_value());
}
