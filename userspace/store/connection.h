// Connection: the one writer connection of the state store, and the transactions on it.
//
// Thread-safe. A recursive mutex guards the connection: every repository call takes it, and a
// Transaction holds it from begin to end, so that what one thread does between begin and commit is
// seen by others as a whole or not at all. A Transaction inside another one is a savepoint. A
// Transaction stays on the thread that began it.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/store/sqlite.h"

namespace raind::store {

class Connection;

// Undone unless commit() was called and succeeded.
class Transaction {
  public:
    Transaction(Transaction&& other) noexcept;
    Transaction& operator=(Transaction&&) = delete;
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();

    // When the outermost one returns success, everything in it survives the loss of power.
    Status commit();

  private:
    friend class Connection;
    Transaction(Connection& connection, std::unique_lock<std::recursive_mutex> lock, int level)
        : connection_(&connection), lock_(std::move(lock)), level_(level) {}
    void undo();

    Connection* connection_;  // nullptr: over, or moved from
    std::unique_lock<std::recursive_mutex> lock_;
    int level_;
};

class Connection {
  public:
    // Refuses a file that another process has open, that is damaged, that is gone although it was
    // in use, or that a newer program wrote. The folder must be there.
    static Result<std::unique_ptr<Connection>> open(const std::string& file);

    Result<Transaction> begin();
    std::unique_lock<std::recursive_mutex> lock() {
        return std::unique_lock<std::recursive_mutex>(mutex_);
    }
    // Only with the lock held.
    SqliteDb& db() { return *db_; }
    const std::string& file() const { return db_->path(); }

  private:
    friend class Transaction;
    Connection(UniqueFd owner, std::unique_ptr<SqliteDb> db)
        : owner_(std::move(owner)), db_(std::move(db)) {}

    UniqueFd owner_;  // lock on FILE.lock: one process per store
    std::recursive_mutex mutex_;
    std::unique_ptr<SqliteDb> db_;  // guarded by mutex_
    int level_ = 0;                 // guarded by mutex_; open transactions
};

}  // namespace raind::store
