#include "userspace/store/volumes.h"

#include <fmt/format.h>

#include "userspace/store/rows.h"

namespace raind::store {

using core::VolumeRecord;
using core::VolumeState;

Status VolumeStore::insert(const VolumeRecord& record) {
    const auto lock = connection_.lock();
    RAIND_TRY(const auto taken, find(record.name));
    if (taken)
        return Error(Errc::AlreadyExists, fmt::format("volume: {} already exists", record.name));
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("INSERT INTO vsm_volumes VALUES (?1, ?2, ?3, ?4)"));
    return stmt
        .bind(record.name, text_of(record.state), json_of(record.labels), record.created_at.ns)
        .run();
}

Status VolumeStore::set_state(const std::string& name, VolumeState state) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("UPDATE vsm_volumes SET state = ?2 WHERE name = ?1"));
    RAIND_CHECK(stmt.bind(name, text_of(state)).run());
    if (connection_.db().changes() == 0)
        return Error(Errc::NotFound, fmt::format("volume: {} not found", name));
    return {};
}

Status VolumeStore::remove(const std::string& name) {
    const auto lock = connection_.lock();
    RAIND_TRY(const auto holders, users(name));
    if (!holders.empty())
        return Error(Errc::Conflict, fmt::format("volume: {} is in use", name));
    RAIND_TRY(SqliteStmt stmt, connection_.db().prepare("DELETE FROM vsm_volumes WHERE name = ?1"));
    return stmt.bind(name).run();
}

Result<VolumeRecord> VolumeStore::read(const SqliteStmt& row) {
    VolumeRecord out;
    out.name = row.text(0);
    const std::string where = fmt::format("store: {}: volume {}", connection_.file(), out.name);
    RAIND_TRY(out.state, volume_state(row.text(1)).context(where));
    RAIND_TRY(out.labels, string_map(row.text(2)).context(where));
    out.created_at = {row.integer(3)};
    return out;
}

Result<std::optional<VolumeRecord>> VolumeStore::find(const std::string& name) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("SELECT * FROM vsm_volumes WHERE name = ?1"));
    stmt.bind(name);
    RAIND_TRY(const bool row, stmt.step());
    if (!row)
        return std::optional<VolumeRecord>();
    RAIND_TRY(VolumeRecord record, read(stmt));
    return std::optional(std::move(record));
}

Result<std::vector<VolumeRecord>> VolumeStore::list() {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt, connection_.db().prepare("SELECT * FROM vsm_volumes ORDER BY name"));
    std::vector<VolumeRecord> out;
    while (true) {
        RAIND_TRY(const bool row, stmt.step());
        if (!row)
            return out;
        RAIND_TRY(VolumeRecord record, read(stmt));
        out.push_back(std::move(record));
    }
}

Status VolumeStore::add_user(const std::string& volume, const std::string& container_id) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("INSERT OR IGNORE INTO vsm_users VALUES (?1, ?2)"));
    return stmt.bind(volume, container_id).run();
}

Result<std::vector<std::string>> VolumeStore::users(const std::string& volume) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("SELECT container_id FROM vsm_users WHERE volume = ?1 "
                                       "ORDER BY container_id"));
    stmt.bind(volume);
    std::vector<std::string> out;
    while (true) {
        RAIND_TRY(const bool row, stmt.step());
        if (!row)
            return out;
        out.push_back(stmt.text(0));
    }
}

}  // namespace raind::store
