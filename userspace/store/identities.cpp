#include "userspace/store/identities.h"

#include <fmt/format.h>
#include <limits>

namespace raind::store {

namespace {

struct Range {
    const char* name;
    const char* counter;
    std::int64_t first;
    std::int64_t last;
};

// The ranges of the datapath design, section 3.
Range range_of(IdentityKind kind) {
    switch (kind) {
        case IdentityKind::Selector:
            return {"selector", "identity.selector", 0x01000000, 0x01ffffff};
        case IdentityKind::Cidr:
            return {"cidr", "identity.cidr", 0x02000000, 0x02ffffff};
        case IdentityKind::Fqdn:
            return {"fqdn", "identity.fqdn", 0x03000000, 0x03ffffff};
        case IdentityKind::Workload:
            break;
    }
    return {"workload", "identity.workload", 256, 0x00ffffff};
}

constexpr const char* kEndpointCounter = "endpoint";

}  // namespace

Result<std::int64_t> IdentityStore::count_up(const char* counter, std::int64_t first,
                                             std::int64_t last) {
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("INSERT INTO counters VALUES (?1, ?2) ON CONFLICT (name) DO "
                                       "UPDATE SET value = value + 1 RETURNING value"));
    RAIND_TRY(const bool row, stmt.bind(counter, first).step());
    const std::int64_t value = row ? stmt.integer(0) : 0;
    RAIND_TRY(const bool more, stmt.step());
    if (!row || more)
        return Error(Errc::Internal, "store: counter gave no value");
    if (value > last)
        return Error(Errc::Exhausted, fmt::format("{}: all numbers are used", counter));
    return value;
}

Result<core::IdentityId> IdentityStore::number_for(IdentityKind kind, const std::string& name) {
    if (name.empty())
        return Error(Errc::InvalidArgument, "identity: empty name");
    RAIND_TRY(Transaction transaction, connection_.begin());
    RAIND_TRY(const auto known, find(kind, name));
    if (known)
        return *known;
    const Range range = range_of(kind);
    RAIND_TRY(const std::int64_t number, count_up(range.counter, range.first, range.last));
    {
        RAIND_TRY(SqliteStmt stmt,
                  connection_.db().prepare("INSERT INTO identities VALUES (?1, ?2, ?3)"));
        RAIND_CHECK(stmt.bind(number, range.name, name).run());
    }
    RAIND_CHECK(transaction.commit());
    return static_cast<core::IdentityId>(number);
}

Result<std::optional<core::IdentityId>> IdentityStore::find(IdentityKind kind,
                                                            const std::string& name) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt, connection_.db().prepare(
                                   "SELECT number FROM identities WHERE kind = ?1 AND name = ?2"));
    RAIND_TRY(const bool row, stmt.bind(range_of(kind).name, name).step());
    if (!row)
        return std::optional<core::IdentityId>();
    return std::optional(static_cast<core::IdentityId>(stmt.integer(0)));
}

Result<std::optional<std::string>> IdentityStore::name_of(core::IdentityId number) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("SELECT name FROM identities WHERE number = ?1"));
    RAIND_TRY(const bool row, stmt.bind(number).step());
    return row ? std::optional(stmt.text(0)) : std::nullopt;
}

Result<std::map<std::string, core::IdentityId>> IdentityStore::all(IdentityKind kind) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("SELECT name, number FROM identities WHERE kind = ?1"));
    stmt.bind(range_of(kind).name);
    std::map<std::string, core::IdentityId> out;
    while (true) {
        RAIND_TRY(const bool row, stmt.step());
        if (!row)
            return out;
        out.emplace(stmt.text(0), static_cast<core::IdentityId>(stmt.integer(1)));
    }
}

Status IdentityStore::forget(IdentityKind kind, const std::string& name) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("DELETE FROM identities WHERE kind = ?1 AND name = ?2"));
    return stmt.bind(range_of(kind).name, name).run();
}

Result<core::EndpointId> IdentityStore::next_endpoint() {
    const auto lock = connection_.lock();
    RAIND_TRY(const std::int64_t value,
              count_up(kEndpointCounter, 1, std::numeric_limits<core::EndpointId>::max()));
    return static_cast<core::EndpointId>(value);
}

Status IdentityStore::raise_endpoint(core::EndpointId seen) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("INSERT INTO counters VALUES (?1, ?2) ON CONFLICT (name) DO "
                                       "UPDATE SET value = max(value, ?2)"));
    return stmt.bind(kEndpointCounter, seen).run();
}

}  // namespace raind::store
