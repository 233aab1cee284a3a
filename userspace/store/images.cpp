#include "userspace/store/images.h"

#include <fmt/format.h>

#include "userspace/store/rows.h"

namespace raind::store {

using core::ImageRecord;

Status ImageStore::put(const ImageRecord& r) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare(
                  "INSERT OR REPLACE INTO ilm_images VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"));
    stmt.bind(r.repository, r.reference, r.manifest_digest, r.config_digest, json_of(r.layers),
              json_of(r.blobs), r.size_bytes, r.created_at.ns, r.pulled_at.ns);
    return stmt.run();
}

Status ImageStore::remove(const std::string& repository, const std::string& reference) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare(
                  "DELETE FROM ilm_images WHERE repository = ?1 AND reference = ?2"));
    return stmt.bind(repository, reference).run();
}

Result<ImageRecord> ImageStore::read(const SqliteStmt& row) {
    ImageRecord out;
    out.repository = row.text(0);
    out.reference = row.text(1);
    out.manifest_digest = row.text(2);
    out.config_digest = row.text(3);
    const std::string where =
        fmt::format("store: {}: image {}:{}", connection_.file(), out.repository, out.reference);
    RAIND_TRY(out.layers, string_list(row.text(4)).context(where));
    RAIND_TRY(out.blobs, string_list(row.text(5)).context(where));
    out.size_bytes = static_cast<std::uint64_t>(row.integer(6));
    out.created_at = {row.integer(7)};
    out.pulled_at = {row.integer(8)};
    return out;
}

Result<std::optional<ImageRecord>> ImageStore::find(const std::string& repository,
                                                    const std::string& reference) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare(
                  "SELECT * FROM ilm_images WHERE repository = ?1 AND reference = ?2"));
    stmt.bind(repository, reference);
    RAIND_TRY(const bool row, stmt.step());
    if (!row)
        return std::optional<ImageRecord>();
    RAIND_TRY(ImageRecord record, read(stmt));
    return std::optional(std::move(record));
}

Result<std::vector<ImageRecord>> ImageStore::list() {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("SELECT * FROM ilm_images ORDER BY repository, reference"));
    std::vector<ImageRecord> out;
    while (true) {
        RAIND_TRY(const bool row, stmt.step());
        if (!row)
            return out;
        RAIND_TRY(ImageRecord record, read(stmt));
        out.push_back(std::move(record));
    }
}

}  // namespace raind::store
