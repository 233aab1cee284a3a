#include "userspace/store/containers.h"

#include <algorithm>
#include <fmt/format.h>

#include "userspace/store/rows.h"

namespace raind::store {

namespace {

using core::ContainerRecord;

constexpr const char* kColumns =
    "id, uid, name, identity, ep_id, state, pid, shim_pid, shim_start, boot_id, image_repository, "
    "image_reference, image_digest, layers, process, options, network, ip4, ip6, mac, "
    "host_interface, range_first, range_count, exit_code, reason, message, creating_at, created_at, "
    "started_at, stopped_at";

constexpr const char* kInsert =
    "INSERT INTO csm_containers VALUES (?1, ?2, ?3, nullif(?4, 0), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, "
    "?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30)";

constexpr const char* kUpdate =
    "UPDATE csm_containers SET uid = ?2, name = ?3, identity = nullif(?4, 0), ep_id = ?5, state = ?6, pid = ?7, "
    "shim_pid = ?8, shim_start = ?9, boot_id = ?10, image_repository = ?11, image_reference = ?12, "
    "image_digest = ?13, layers = ?14, process = ?15, options = ?16, network = ?17, ip4 = ?18, "
    "ip6 = ?19, mac = ?20, host_interface = ?21, range_first = ?22, range_count = ?23, "
    "exit_code = ?24, reason = ?25, message = ?26, creating_at = ?27, created_at = ?28, "
    "started_at = ?29, stopped_at = ?30 WHERE id = ?1";

template <typename T>
T narrow(const SqliteStmt& row, int column) {
    return static_cast<T>(row.integer(column));
}

WallTime time_of(const SqliteStmt& row, int column) {
    return {row.integer(column)};
}

Status read_place(const SqliteStmt& row, ContainerRecord& out) {
    out.network = row.text(16);
    RAIND_TRY(out.ip4, ip_address(row.text(17)));
    RAIND_TRY(out.ip6, ip_address(row.text(18)));
    RAIND_TRY(out.mac, mac_address(row.text(19)));
    out.host_interface = row.text(20);
    out.ids = {narrow<std::uint32_t>(row, 21), narrow<std::uint32_t>(row, 22)};
    return {};
}

Status read_content(const SqliteStmt& row, ContainerRecord& out) {
    RAIND_TRY(out.state, container_state(row.text(5)));
    out.image_repository = row.text(10);
    out.image_reference = row.text(11);
    out.image_digest = row.text(12);
    RAIND_TRY(out.layers, string_list(row.text(13)));
    RAIND_TRY(out.process, string_list(row.text(14)));
    RAIND_TRY(out.options, container_options(row.text(15)));
    return read_place(row, out);
}

// Names the containers that a prefix fits, so that the caller can choose.
Error ambiguous(const std::string& prefix, const std::vector<ContainerRecord>& found) {
    constexpr std::size_t kNamed = 5;
    std::string text = fmt::format("container: {} fits several ids: ", prefix);
    for (std::size_t i = 0; i < std::min(kNamed, found.size()); ++i)
        text += fmt::format("{}{} ({})", i == 0 ? "" : ", ", found[i].id, found[i].name);
    if (found.size() > kNamed)
        text += fmt::format(" and {} more", found.size() - kNamed);
    return Error(Errc::Conflict, std::move(text));
}

}  // namespace

Status ContainerStore::write(SqliteStmt& stmt, const ContainerRecord& r) {
    stmt.bind(r.id, r.uid, r.name, r.identity, r.ep_id, text_of(r.state), r.pid, r.shim_pid,
              r.shim_start, r.boot_id, r.image_repository, r.image_reference, r.image_digest,
              json_of(r.layers), json_of(r.process), json_of(r.options), r.network, text_of(r.ip4),
              text_of(r.ip6), text_of(r.mac), r.host_interface, r.ids.first, r.ids.count,
              r.exit_code, r.reason, r.message, r.creating_at.ns, r.created_at.ns, r.started_at.ns,
              r.stopped_at.ns);
    return stmt.run();
}

Result<ContainerRecord> ContainerStore::read(const SqliteStmt& row) {
    ContainerRecord out;
    out.id = row.text(0);
    if (auto read = read_content(row, out); !read)
        return std::move(read.error())
            .context(fmt::format("store: {}: container {}", connection_.file(), out.id));
    out.uid = row.text(1);
    out.name = row.text(2);
    out.identity = narrow<std::uint32_t>(row, 3);
    out.ep_id = narrow<std::uint32_t>(row, 4);
    out.pid = narrow<int>(row, 6);
    out.shim_pid = narrow<int>(row, 7);
    out.shim_start = narrow<std::uint64_t>(row, 8);
    out.boot_id = row.text(9);
    out.exit_code = narrow<int>(row, 23);
    out.reason = row.text(24);
    out.message = row.text(25);
    out.creating_at = time_of(row, 26);
    out.created_at = time_of(row, 27);
    out.started_at = time_of(row, 28);
    out.stopped_at = time_of(row, 29);
    return out;
}

template <typename... Values>
Result<std::vector<ContainerRecord>> ContainerStore::select(std::string_view tail,
                                                            const Values&... values) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt, connection_.db().prepare(fmt::format(
                                   "SELECT {} FROM csm_containers {}", kColumns, tail)));
    stmt.bind(values...);
    std::vector<ContainerRecord> out;
    while (true) {
        RAIND_TRY(const bool row, stmt.step());
        if (!row)
            return out;
        RAIND_TRY(ContainerRecord record, read(stmt));
        out.push_back(std::move(record));
    }
}

Status ContainerStore::insert(const ContainerRecord& record) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt, connection_.db().prepare(kInsert));
    return write(stmt, record);
}

Status ContainerStore::update(const ContainerRecord& record) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt, connection_.db().prepare(kUpdate));
    RAIND_CHECK(write(stmt, record));
    if (connection_.db().changes() == 0)
        return Error(Errc::NotFound, "container: " + record.id + " not found");
    return {};
}

Status ContainerStore::remove(const std::string& id) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("DELETE FROM csm_containers WHERE id = ?1"));
    return stmt.bind(id).run();
}

Result<std::optional<ContainerRecord>> ContainerStore::find(const std::string& id) {
    RAIND_TRY(auto found, select("WHERE id = ?1", id));
    return found.empty() ? std::nullopt : std::optional(std::move(found.front()));
}

Result<std::optional<ContainerRecord>> ContainerStore::find_by_name(const std::string& name) {
    RAIND_TRY(auto found, select("WHERE name = ?1", name));
    return found.empty() ? std::nullopt : std::optional(std::move(found.front()));
}

Result<ContainerRecord> ContainerStore::resolve(const std::string& reference) {
    const auto lock = connection_.lock();
    RAIND_TRY(auto named, find_by_name(reference));
    if (named)
        return *std::move(named);
    if (!reference.empty()) {
        RAIND_TRY(auto found,
                  select("WHERE substr(id, 1, length(?1)) = ?1 ORDER BY uid", reference));
        if (found.size() == 1)
            return std::move(found.front());
        if (found.size() > 1)
            return ambiguous(reference, found);
    }
    return Error(Errc::NotFound, "container: " + reference + " not found");
}

Result<std::vector<ContainerRecord>> ContainerStore::list() {
    return select("ORDER BY uid");
}

Result<bool> ContainerStore::image_in_use(const std::string& repository,
                                          const std::string& reference) {
    RAIND_TRY(auto found, select("WHERE image_repository = ?1 AND image_reference = ?2 LIMIT 1",
                                 repository, reference));
    return !found.empty();
}

}  // namespace raind::store
