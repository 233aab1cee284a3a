#include "userspace/store/sqlite.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits>
#include <sys/stat.h>

#include "raind/unique_fd.h"

namespace raind::store {

namespace {

Errc errc_of(int rc) {
    switch (rc & 0xff) {
        case SQLITE_CONSTRAINT:
            return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY
                       ? Errc::AlreadyExists
                       : Errc::Conflict;
        case SQLITE_FULL:
        case SQLITE_NOMEM:
            return Errc::Exhausted;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return Errc::Unavailable;
        default:
            return Errc::Internal;
    }
}

}  // namespace

SqliteStmt::SqliteStmt(SqliteDb& db, std::string sql, sqlite3_stmt* stmt)
    : db_(&db), sql_(std::move(sql)), stmt_(stmt) {
}

SqliteStmt::SqliteStmt(SqliteStmt&& other) noexcept
    : db_(other.db_),
      sql_(std::move(other.sql_)),
      stmt_(std::exchange(other.stmt_, nullptr)),
      bind_rc_(other.bind_rc_) {
}

SqliteStmt::~SqliteStmt() {
    if (stmt_ == nullptr)
        return;
    reset();
    db_->recycle(std::move(sql_), stmt_);
}

void SqliteStmt::note(int rc) {
    if (bind_rc_ == SQLITE_OK)
        bind_rc_ = rc;
}

void SqliteStmt::bind_one(int index, std::int64_t value) {
    note(sqlite3_bind_int64(stmt_, index, value));
}

void SqliteStmt::bind_one(int index, std::uint64_t value) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        note(SQLITE_TOOBIG);
    else
        bind_one(index, static_cast<std::int64_t>(value));
}

void SqliteStmt::bind_one(int index, std::string_view value) {
    const char* data = value.data() == nullptr ? "" : value.data();
    note(sqlite3_bind_text64(stmt_, index, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void SqliteStmt::bind_one(int index, std::nullptr_t) {
    note(sqlite3_bind_null(stmt_, index));
}

Result<bool> SqliteStmt::step() {
    if (bind_rc_ != SQLITE_OK)
        return db_->error("bind", bind_rc_);
    const int rc = sqlite3_step(stmt_);
    if (rc == SQLITE_ROW)
        return true;
    if (rc == SQLITE_DONE)
        return false;
    return db_->error("step", rc);
}

Status SqliteStmt::run() {
    RAIND_TRY(const bool row, step());
    if (row)
        return Error(Errc::Internal, "statement gave a row that nobody reads: " + sql_);
    return {};
}

void SqliteStmt::reset() {
    sqlite3_reset(stmt_);
    sqlite3_clear_bindings(stmt_);
    bind_rc_ = SQLITE_OK;
}

std::int64_t SqliteStmt::integer(int column) const {
    return sqlite3_column_int64(stmt_, column);
}

std::string SqliteStmt::text(int column) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(stmt_, column));
    const int size = sqlite3_column_bytes(stmt_, column);
    return data == nullptr ? std::string() : std::string(data, static_cast<std::size_t>(size));
}

std::string SqliteStmt::blob(int column) const {
    return text(column);
}

bool SqliteStmt::is_null(int column) const {
    return sqlite3_column_type(stmt_, column) == SQLITE_NULL;
}

Result<std::unique_ptr<SqliteDb>> SqliteDb::open(const std::string& path, Options options) {
    {
        // SQLite would make the file with the umask's mode; the store is for root only.
        UniqueFd made(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!made)
            return os_error("store: " + path);
        struct stat st{};
        if (fstat(made.get(), &st) != 0)
            return os_error("store: " + path);
        if (!S_ISREG(st.st_mode))
            return Error(Errc::Internal, "store: " + path + " is not a regular file");
        if (fchmod(made.get(), 0600) != 0)
            return os_error("store: " + path);
    }
    sqlite3* raw = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE;
    const int rc = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
    std::unique_ptr<SqliteDb> db(new SqliteDb(path, raw));
    if (rc != SQLITE_OK)
        return db->error("open", rc);
    RAIND_CHECK(db->configure(options));
    RAIND_CHECK(db->check_integrity());
    return db;
}

SqliteDb::~SqliteDb() {
    for (auto& [sql, statements] : cache_)
        for (sqlite3_stmt* stmt : statements)
            sqlite3_finalize(stmt);
    sqlite3_close_v2(db_);
}

Status SqliteDb::configure(const Options& options) {
    sqlite3_busy_timeout(db_, options.busy_timeout_ms);
    RAIND_TRY(SqliteStmt mode, prepare("PRAGMA journal_mode = WAL"));
    RAIND_TRY(const bool row, mode.step());
    if (!row || mode.text(0) != "wal")
        return Error(Errc::Internal, "store: " + path_ + ": journal mode WAL is not possible here");
    return exec(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
        "PRAGMA cell_size_check = ON;");
}

Status SqliteDb::check_integrity() {
    RAIND_TRY(SqliteStmt check, prepare("PRAGMA integrity_check(1)"));
    RAIND_TRY(const bool row, check.step());
    const std::string answer = row ? check.text(0) : "no answer";
    if (answer != "ok")
        return Error(Errc::Internal, "store: " + path_ + " is damaged (" + answer +
                                         "); nothing was changed: restore this file from a backup");
    RAIND_TRY(SqliteStmt foreign, prepare("PRAGMA foreign_key_check"));
    RAIND_TRY(const bool broken, foreign.step());
    if (broken)
        return Error(Errc::Internal, "store: " + path_ + " is damaged (a row of " +
                                         foreign.text(0) + " refers to a missing row of " +
                                         foreign.text(2) + "); nothing was changed");
    return {};
}

Result<SqliteStmt> SqliteDb::prepare(std::string_view sql) {
    std::string key(sql);
    if (auto it = cache_.find(key); it != cache_.end() && !it->second.empty()) {
        sqlite3_stmt* stmt = it->second.back();
        it->second.pop_back();
        return SqliteStmt(*this, std::move(key), stmt);
    }
    sqlite3_stmt* stmt = nullptr;
    const int rc = sqlite3_prepare_v3(db_, key.c_str(), static_cast<int>(key.size() + 1),
                                      SQLITE_PREPARE_PERSISTENT, &stmt, nullptr);
    if (rc != SQLITE_OK)
        return error("prepare", rc);
    return SqliteStmt(*this, std::move(key), stmt);
}

void SqliteDb::recycle(std::string sql, sqlite3_stmt* stmt) {
    cache_[std::move(sql)].push_back(stmt);
}

Status SqliteDb::exec(const char* sql) {
    const int rc = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
    if (rc != SQLITE_OK)
        return error("exec", rc);
    return {};
}

std::int64_t SqliteDb::changes() const {
    return sqlite3_changes64(db_);
}

Result<std::int64_t> SqliteDb::user_version() {
    RAIND_TRY(SqliteStmt stmt, prepare("PRAGMA user_version"));
    RAIND_TRY(const bool row, stmt.step());
    return row ? stmt.integer(0) : 0;
}

Error SqliteDb::error(std::string_view what, int rc) const {
    const int primary = rc & 0xff;
    if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
        return Error(Errc::Internal, "store: " + path_ + " is damaged (" + sqlite3_errstr(rc) +
                                         "); nothing was changed: restore this file from a backup");
    const char* text = db_ == nullptr ? sqlite3_errstr(rc) : sqlite3_errmsg(db_);
    return Error(errc_of(rc), fmt::format("store: {}: {}: {}", path_, what, text));
}

Status migrate(SqliteDb& db, const std::vector<Migration>& steps) {
    RAIND_TRY(std::int64_t version, db.user_version());
    const std::int64_t newest = steps.empty() ? 0 : steps.back().version;
    if (version > newest)
        return Error(Errc::Unsupported,
                     fmt::format("store: {} has schema version {}, this program knows {}: it was "
                                 "written by a newer program",
                                 db.path(), version, newest));
    for (const Migration& step : steps) {
        if (step.version <= version)
            continue;
        if (step.version != version + 1)
            return Error(Errc::Internal,
                         fmt::format("store: no migration to version {}", version + 1));
        const std::string sql = fmt::format(
            "BEGIN IMMEDIATE; {}; PRAGMA user_version = {}; COMMIT;", step.sql, step.version);
        if (auto done = db.exec(sql.c_str()); !done) {
            // The first error is what counts; without a transaction open this one only says so.
            static_cast<void>(db.exec("ROLLBACK"));
            return std::move(done.error())
                .context(fmt::format("migration to version {}", step.version));
        }
        version = step.version;
    }
    return {};
}

}  // namespace raind::store
