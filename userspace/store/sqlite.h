// SqliteDb, SqliteStmt: owning wrappers of the SQLite C interface.
//
// SqliteDb owns one connection and the cache of its prepared statements; it must outlive every
// SqliteStmt it gave out. Neither locks: Store (store.h) guards its connection with a mutex.
// Errors carry the file name, so that a refusal at start says which file is meant.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "raind/result.h"

namespace raind::store {

class SqliteDb;

// One prepared statement in use. Goes back to the cache of its connection when it is destroyed.
class SqliteStmt {
  public:
    SqliteStmt(SqliteStmt&& other) noexcept;
    SqliteStmt& operator=(SqliteStmt&&) = delete;
    SqliteStmt(const SqliteStmt&) = delete;
    SqliteStmt& operator=(const SqliteStmt&) = delete;
    ~SqliteStmt();

    // Binds the values to ?1, ?2, ... in order. A bind that fails shows at the next step().
    template <typename... Values>
    SqliteStmt& bind(const Values&... values) {
        int index = 0;
        (bind_one(++index, values), ...);
        return *this;
    }

    // True: a row is ready to be read. False: done.
    Result<bool> step();
    // Runs a statement that gives no rows.
    Status run();
    // Makes the statement ready for new values.
    void reset();

    std::int64_t integer(int column) const;
    std::string text(int column) const;
    std::string blob(int column) const;
    bool is_null(int column) const;

  private:
    friend class SqliteDb;
    SqliteStmt(SqliteDb& db, std::string sql, sqlite3_stmt* stmt);

    void bind_one(int index, std::int64_t value);
    void bind_one(int index, std::int32_t value) { bind_one(index, std::int64_t{value}); }
    void bind_one(int index, std::uint32_t value) { bind_one(index, std::int64_t{value}); }
    void bind_one(int index, bool value) { bind_one(index, std::int64_t{value ? 1 : 0}); }
    // 64-bit counters of ours stay below 2^63; a greater one is refused at the next step().
    void bind_one(int index, std::uint64_t value);
    void bind_one(int index, std::string_view value);
    void bind_one(int index, const std::string& value) { bind_one(index, std::string_view(value)); }
    void bind_one(int index, const char* value) { bind_one(index, std::string_view(value)); }
    void bind_one(int index, std::nullptr_t);
    template <typename T>
    void bind_one(int index, const std::optional<T>& value) {
        if (value)
            bind_one(index, *value);
        else
            bind_one(index, nullptr);
    }
    void note(int rc);

    SqliteDb* db_;
    std::string sql_;
    sqlite3_stmt* stmt_;
    int bind_rc_ = SQLITE_OK;
};

class SqliteDb {
  public:
    struct Options {
        int busy_timeout_ms = 5000;
    };
    // Opens or makes the file (0600) in WAL mode with synchronous FULL and foreign keys, and checks
    // its integrity. A damaged file is refused by name; it is never replaced or emptied.
    static Result<std::unique_ptr<SqliteDb>> open(const std::string& path, Options options);
    ~SqliteDb();
    SqliteDb(const SqliteDb&) = delete;
    SqliteDb& operator=(const SqliteDb&) = delete;

    Result<SqliteStmt> prepare(std::string_view sql);
    // One or more statements without parameters or rows: schema and transaction control.
    Status exec(const char* sql);
    // The number of rows that the last statement changed.
    std::int64_t changes() const;
    Result<std::int64_t> user_version();
    const std::string& path() const { return path_; }

    // The error of the last call on this connection.
    Error error(std::string_view what, int rc) const;

  private:
    friend class SqliteStmt;
    SqliteDb(std::string path, sqlite3* db) : path_(std::move(path)), db_(db) {}
    Status configure(const Options& options);
    Status check_integrity();
    void recycle(std::string sql, sqlite3_stmt* stmt);

    std::string path_;
    sqlite3* db_;
    std::unordered_map<std::string, std::vector<sqlite3_stmt*>> cache_;
};

// One step of the schema: brings user_version from version - 1 to version.
struct Migration {
    std::int64_t version;
    const char* sql;
};

// Applies what is missing, each step in a transaction of its own. A file newer than the list is
// refused.
Status migrate(SqliteDb& db, const std::vector<Migration>& steps);

}  // namespace raind::store
