#include "userspace/store/operations.h"

#include <fmt/format.h>

namespace raind::store {

Result<std::int64_t> OperationStore::begin(const std::string& kind, const std::string& object,
                                           const std::string& payload) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("INSERT INTO operations (kind, object, step, payload, "
                                       "started_at) VALUES (?1, ?2, '', ?3, ?4) RETURNING id"));
    RAIND_TRY(const bool row, stmt.bind(kind, object, payload, wall_now().ns).step());
    const std::int64_t id = row ? stmt.integer(0) : 0;
    // The row is written durably only when the statement has come to its end.
    RAIND_TRY(const bool more, stmt.step());
    if (!row || more)
        return Error(Errc::Internal, "store: operation got no id");
    return id;
}

Status OperationStore::step(std::int64_t id, const std::string& step,
                            const std::optional<std::string>& payload) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("UPDATE operations SET step = ?2, payload = coalesce(?3, "
                                       "payload) WHERE id = ?1"));
    RAIND_CHECK(stmt.bind(id, step, payload).run());
    if (connection_.db().changes() == 0)
        return Error(Errc::Internal, fmt::format("store: operation {} is not in progress", id));
    return {};
}

Status OperationStore::finish(std::int64_t id) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt, connection_.db().prepare("DELETE FROM operations WHERE id = ?1"));
    return stmt.bind(id).run();
}

Result<std::vector<core::OperationRecord>> OperationStore::pending() {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("SELECT id, kind, object, step, payload, started_at FROM "
                                       "operations ORDER BY id"));
    std::vector<core::OperationRecord> out;
    while (true) {
        RAIND_TRY(const bool row, stmt.step());
        if (!row)
            return out;
        out.push_back({stmt.integer(0),
                       stmt.text(1),
                       stmt.text(2),
                       stmt.text(3),
                       stmt.text(4),
                       {stmt.integer(5)}});
    }
}

}  // namespace raind::store
