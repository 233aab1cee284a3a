#include "userspace/store/ipam.h"

#include <fmt/format.h>

#include "userspace/store/rows.h"

namespace raind::store {

using core::AddressAllocation;
using core::PoolRecord;
using core::RangeAllocation;

Status IpamStore::insert_pool(const PoolRecord& p) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt, connection_.db().prepare(
                                   "INSERT INTO ipam_pools VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
    stmt.bind(p.interface, text_of(p.subnet4), text_of(p.gateway4), text_of(p.subnet6),
              text_of(p.gateway6), text_of(p.mac), p.number);
    return stmt.run();
}

Status IpamStore::update_pool(const PoolRecord& p) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("UPDATE ipam_pools SET subnet4 = ?2, gateway4 = ?3, "
                                       "subnet6 = ?4, gateway6 = ?5, mac = ?6, number = ?7 "
                                       "WHERE interface = ?1"));
    stmt.bind(p.interface, text_of(p.subnet4), text_of(p.gateway4), text_of(p.subnet6),
              text_of(p.gateway6), text_of(p.mac), p.number);
    RAIND_CHECK(stmt.run());
    if (connection_.db().changes() == 0)
        return Error(Errc::NotFound, "network: " + p.interface + " not found");
    return {};
}

Status IpamStore::remove_pool(const std::string& interface) {
    RAIND_TRY(Transaction transaction, connection_.begin());
    SqliteDb& db = connection_.db();
    {
        RAIND_TRY(SqliteStmt used,
                  db.prepare("SELECT 1 FROM ipam_allocations WHERE interface = ?1 AND "
                             "container_id <> '' LIMIT 1"));
        RAIND_TRY(const bool row, used.bind(interface).step());
        if (row)
            return Error(Errc::Conflict, "network: " + interface + " has containers");
    }
    RAIND_TRY(SqliteStmt rows, db.prepare("DELETE FROM ipam_allocations WHERE interface = ?1"));
    RAIND_CHECK(rows.bind(interface).run());
    RAIND_TRY(SqliteStmt pool, db.prepare("DELETE FROM ipam_pools WHERE interface = ?1"));
    RAIND_CHECK(pool.bind(interface).run());
    return transaction.commit();
}

Result<PoolRecord> IpamStore::read_pool(const SqliteStmt& row) {
    PoolRecord out;
    out.interface = row.text(0);
    const std::string where =
        fmt::format("store: {}: network {}", connection_.file(), out.interface);
    RAIND_TRY(out.subnet4, cidr(row.text(1)).context(where));
    RAIND_TRY(out.gateway4, ip_address(row.text(2)).context(where));
    RAIND_TRY(out.subnet6, cidr(row.text(3)).context(where));
    RAIND_TRY(out.gateway6, ip_address(row.text(4)).context(where));
    RAIND_TRY(out.mac, mac_address(row.text(5)).context(where));
    out.number = static_cast<std::uint32_t>(row.integer(6));
    return out;
}

Result<std::optional<PoolRecord>> IpamStore::find_pool(const std::string& interface) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("SELECT * FROM ipam_pools WHERE interface = ?1"));
    RAIND_TRY(const bool row, stmt.bind(interface).step());
    if (!row)
        return std::optional<PoolRecord>();
    RAIND_TRY(PoolRecord pool, read_pool(stmt));
    return std::optional(std::move(pool));
}

Result<std::vector<PoolRecord>> IpamStore::pools() {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("SELECT * FROM ipam_pools ORDER BY number"));
    std::vector<PoolRecord> out;
    while (true) {
        RAIND_TRY(const bool row, stmt.step());
        if (!row)
            return out;
        RAIND_TRY(PoolRecord pool, read_pool(stmt));
        out.push_back(std::move(pool));
    }
}

Result<AddressAllocation> IpamStore::read_allocation(const SqliteStmt& row) {
    AddressAllocation out;
    out.interface = row.text(0);
    const std::string where = fmt::format("store: {}: address {}", connection_.file(), row.text(1));
    RAIND_TRY(out.ip4, ip_address(row.text(1)).context(where));
    RAIND_TRY(out.ip6, ip_address(row.text(2)).context(where));
    out.container_id = row.text(3);
    out.assigned_at = {row.integer(4)};
    out.released_at = {row.integer(5)};
    return out;
}

Result<std::vector<AddressAllocation>> IpamStore::allocations(const std::string& interface) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("SELECT * FROM ipam_allocations WHERE interface = ?1"));
    stmt.bind(interface);
    std::vector<AddressAllocation> out;
    while (true) {
        RAIND_TRY(const bool row, stmt.step());
        if (!row)
            return out;
        RAIND_TRY(AddressAllocation allocation, read_allocation(stmt));
        out.push_back(std::move(allocation));
    }
}

Result<std::optional<AddressAllocation>> IpamStore::allocation_of(const std::string& container_id) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("SELECT * FROM ipam_allocations WHERE container_id = ?1 AND "
                                       "container_id <> ''"));
    RAIND_TRY(const bool row, stmt.bind(container_id).step());
    if (!row)
        return std::optional<AddressAllocation>();
    RAIND_TRY(AddressAllocation allocation, read_allocation(stmt));
    return std::optional(std::move(allocation));
}

Status IpamStore::assign(const AddressAllocation& a) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare(
                  "INSERT INTO ipam_allocations VALUES (?1, ?2, ?3, ?4, ?5, 0) "
                  "ON CONFLICT (interface, ip4) DO UPDATE SET ip6 = ?3, container_id = ?4, "
                  "assigned_at = ?5, released_at = 0 WHERE container_id = ''"));
    stmt.bind(a.interface, text_of(a.ip4), text_of(a.ip6), a.container_id, a.assigned_at.ns);
    RAIND_CHECK(stmt.run());
    if (connection_.db().changes() == 0)
        return Error(Errc::AlreadyExists, "address: " + text_of(a.ip4) + " is in use");
    return {};
}

Status IpamStore::release(const std::string& container_id, WallTime when) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("UPDATE ipam_allocations SET container_id = '', "
                                       "released_at = ?2 WHERE container_id = ?1 AND "
                                       "container_id <> ''"));
    return stmt.bind(container_id, when.ns).run();
}

Result<std::vector<RangeAllocation>> IpamStore::ranges() {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt, connection_.db().prepare("SELECT * FROM id_ranges ORDER BY first"));
    std::vector<RangeAllocation> out;
    while (true) {
        RAIND_TRY(const bool row, stmt.step());
        if (!row)
            return out;
        out.push_back({{static_cast<std::uint32_t>(stmt.integer(0)),
                        static_cast<std::uint32_t>(stmt.integer(1))},
                       stmt.text(2),
                       {stmt.integer(3)}});
    }
}

// Ranges may not overlap either, whatever their sizes.
Status IpamStore::assign_range(const RangeAllocation& a) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare(
                  "INSERT INTO id_ranges SELECT ?1, ?2, ?3, 0 WHERE NOT EXISTS (SELECT 1 FROM "
                  "id_ranges WHERE container_id <> '' AND first < ?1 + ?2 AND ?1 < first + count) "
                  "ON CONFLICT (first) DO UPDATE SET count = ?2, container_id = ?3, "
                  "released_at = 0 WHERE container_id = ''"));
    stmt.bind(a.range.first, a.range.count, a.container_id);
    RAIND_CHECK(stmt.run());
    if (connection_.db().changes() == 0)
        return Error(Errc::AlreadyExists,
                     fmt::format("id range: {}+{} is in use", a.range.first, a.range.count));
    return {};
}

Status IpamStore::release_range(const std::string& container_id, WallTime when) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("UPDATE id_ranges SET container_id = '', released_at = ?2 "
                                       "WHERE container_id = ?1 AND container_id <> ''"));
    return stmt.bind(container_id, when.ns).run();
}

}  // namespace raind::store
