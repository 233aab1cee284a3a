#include "userspace/store/connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <utility>

#include "userspace/common/fs.h"
#include "userspace/store/schema.h"

namespace raind::store {

namespace {

// What FILE.lock says once the store has been made. From then on a missing or empty file is a loss,
// not a first start.
constexpr std::string_view kInUse = "in use\n";

Result<UniqueFd> own(const std::string& file) {
    const std::string name = file + ".lock";
    UniqueFd fd(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd)
        return os_error("store: " + name);
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return Error(Errc::Conflict, "store: " + file + " is in use by another process");
        return os_error("store: " + name);
    }
    return fd;
}

Status refuse_lost(const UniqueFd& owner, const std::string& file) {
    struct stat mark{};
    if (fstat(owner.get(), &mark) != 0)
        return os_error("store: " + file + ".lock");
    struct stat data{};
    const bool empty = stat(file.c_str(), &data) != 0 || data.st_size == 0;
    if (mark.st_size != 0 && empty)
        return Error(Errc::Internal,
                     fmt::format("store: {0} is missing or empty although it was in "
                                 "use: restore it from a backup, or remove {0}.lock "
                                 "to begin with an empty store",
                                 file));
    return {};
}

Status mark_in_use(const UniqueFd& owner, const std::string& file) {
    struct stat mark{};
    if (fstat(owner.get(), &mark) != 0)
        return os_error("store: " + file + ".lock");
    if (mark.st_size != 0)
        return {};
    RAIND_CHECK(write_all(owner.get(), kInUse).context("store: " + file + ".lock"));
    if (fsync(owner.get()) != 0)
        return os_error("store: " + file + ".lock");
    return fsync_dir(stdfs::path(file).parent_path());
}

}  // namespace

Transaction::Transaction(Transaction&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)),
      lock_(std::move(other.lock_)),
      level_(other.level_) {
}

Transaction::~Transaction() {
    if (connection_ != nullptr)
        undo();
}

// A failed statement (full disk) may have ended the transaction already; then there is nothing left
// to undo and the error of ROLLBACK says just that.
void Transaction::undo() {
    SqliteDb& db = connection_->db();
    if (level_ == 1) {
        static_cast<void>(db.exec("ROLLBACK"));
    } else {
        const std::string sql = fmt::format("ROLLBACK TO s{0}; RELEASE s{0}", level_);
        static_cast<void>(db.exec(sql.c_str()));
    }
    --connection_->level_;
    connection_ = nullptr;
    lock_.unlock();
}

Status Transaction::commit() {
    if (connection_ == nullptr)
        return Error(Errc::Internal, "store: transaction is over");
    SqliteDb& db = connection_->db();
    const std::string sql = level_ == 1 ? "COMMIT" : fmt::format("RELEASE s{}", level_);
    if (auto done = db.exec(sql.c_str()); !done) {
        undo();
        return done;
    }
    --connection_->level_;
    connection_ = nullptr;
    lock_.unlock();
    return {};
}

Result<std::unique_ptr<Connection>> Connection::open(const std::string& file) {
    RAIND_TRY(UniqueFd owner, own(file));
    RAIND_CHECK(refuse_lost(owner, file));
    RAIND_TRY(std::unique_ptr<SqliteDb> db, SqliteDb::open(file, {}));
    RAIND_CHECK(migrate(*db, schema()));
    RAIND_CHECK(mark_in_use(owner, file));
    return std::unique_ptr<Connection>(new Connection(std::move(owner), std::move(db)));
}

Result<Transaction> Connection::begin() {
    auto held = lock();
    const int level = level_ + 1;
    const std::string sql = level == 1 ? "BEGIN IMMEDIATE" : fmt::format("SAVEPOINT s{}", level);
    RAIND_CHECK(db_->exec(sql.c_str()));
    level_ = level;
    return Transaction(*this, std::move(held), level);
}

}  // namespace raind::store
