#include "userspace/store/policies.h"

#include <fmt/format.h>
#include <unordered_map>

#include "userspace/store/rows.h"

namespace raind::store {

namespace {

using core::PolicyRecord;
using core::PolicyState;

std::string cidr_text(const PolicyRecord& policy) {
    return policy.destination_cidr ? policy.destination_cidr->to_string() : std::string();
}

bool same(const PolicyRecord& a, const PolicyRecord& b) {
    return a.id == b.id && a.chain == b.chain && a.status == b.status && a.reason == b.reason &&
           a.source == b.source && a.destination_name == b.destination_name &&
           a.destination_cidr == b.destination_cidr && a.protocol == b.protocol &&
           a.dport == b.dport && a.comment == b.comment && a.rule == b.rule &&
           a.created_at == b.created_at;
}

Result<PolicyRecord> read(const SqliteStmt& row) {
    PolicyRecord out;
    out.id = row.text(0);
    RAIND_TRY(out.chain, policy_chain(row.text(1)));
    RAIND_TRY(out.status, policy_status(row.text(2)));
    out.reason = row.text(3);
    out.source = row.text(4);
    out.destination_name = row.text(5);
    if (const std::string text = row.text(6); !text.empty()) {
        RAIND_TRY(out.destination_cidr, cidr(text));
    }
    out.protocol = row.text(7);
    out.dport = static_cast<std::uint16_t>(row.integer(8));
    out.comment = row.text(9);
    out.rule = static_cast<core::RuleId>(row.integer(10));
    out.created_at = {row.integer(11)};
    return out;
}

}  // namespace

Result<std::vector<PolicyRecord>> PolicyStore::load_view(const char* view) {
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare(
                  "SELECT id, chain, status, reason, source, destination_name, destination_cidr, "
                  "protocol, dport, comment, rule, created_at FROM npm_policies WHERE view = ?1 "
                  "ORDER BY position, id"));
    stmt.bind(view);
    std::vector<PolicyRecord> out;
    while (true) {
        RAIND_TRY(const bool row, stmt.step());
        if (!row)
            return out;
        RAIND_TRY(PolicyRecord policy,
                  read(stmt).context(
                      fmt::format("store: {}: policy {}", connection_.file(), stmt.text(0))));
        out.push_back(std::move(policy));
    }
}

Result<PolicyState> PolicyStore::load() {
    const auto lock = connection_.lock();
    PolicyState out;
    RAIND_TRY(SqliteStmt stmt, connection_.db().prepare(
                                   "SELECT revision, mode, staged_mode, next_rule FROM npm_state"));
    RAIND_TRY(const bool row, stmt.step());
    if (!row)
        return Error(Errc::Internal, "store: " + connection_.file() + ": no policy state");
    out.revision = static_cast<std::uint64_t>(stmt.integer(0));
    RAIND_TRY(out.mode, ns_mode(stmt.text(1)));
    if (!stmt.is_null(2)) {
        RAIND_TRY(out.staged_mode, ns_mode(stmt.text(2)));
    }
    out.next_rule = static_cast<core::RuleId>(stmt.integer(3));
    RAIND_TRY(out.policies, load_view("staged"));
    RAIND_TRY(out.committed, load_view("committed"));
    return out;
}

Status PolicyStore::save(const PolicyState& state) {
    RAIND_TRY(Transaction transaction, connection_.begin());
    {
        RAIND_TRY(SqliteStmt stmt,
                  connection_.db().prepare("UPDATE npm_state SET revision = ?1, mode = ?2, "
                                           "staged_mode = ?3, next_rule = ?4"));
        const std::optional<std::string_view> staged =
            state.staged_mode ? std::optional(text_of(*state.staged_mode)) : std::nullopt;
        stmt.bind(state.revision, text_of(state.mode), staged, state.next_rule);
        RAIND_CHECK(stmt.run());
    }
    RAIND_CHECK(save_view("staged", state.policies));
    RAIND_CHECK(save_view("committed", state.committed));
    return transaction.commit();
}

// Order matters only relative to the neighbours: a row keeps its position as long as positions stay
// ascending, so an addition at the end or a removal costs one row.
Status PolicyStore::save_view(const char* view, const std::vector<PolicyRecord>& policies) {
    RAIND_TRY(const std::vector<PolicyRecord> before, load_view(view));
    std::unordered_map<std::string_view, const PolicyRecord*> old;
    for (const PolicyRecord& policy : before)
        old.emplace(policy.id, &policy);
    std::unordered_map<std::string_view, std::int64_t> positions;
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("SELECT id, position FROM npm_policies WHERE view = ?1"));
    stmt.bind(view);
    while (true) {
        RAIND_TRY(const bool row, stmt.step());
        if (!row)
            break;
        if (const auto it = old.find(stmt.text(0)); it != old.end())
            positions.emplace(it->first, stmt.integer(1));
    }
    std::int64_t last = 0;
    for (const PolicyRecord& policy : policies) {
        const auto known = old.find(policy.id);
        const std::int64_t at = known == old.end() ? 0 : positions[policy.id];
        const bool stays = known != old.end() && at > last;
        last = stays ? at : last + 1;
        if (!stays || !same(*known->second, policy))
            RAIND_CHECK(write(view, last, policy));
        if (known != old.end())
            old.erase(known);
    }
    for (const auto& [id, policy] : old)
        RAIND_CHECK(erase(view, policy->id));
    return {};
}

Status PolicyStore::write(const char* view, std::int64_t position, const PolicyRecord& p) {
    RAIND_TRY(SqliteStmt stmt, connection_.db().prepare(
                                   "INSERT OR REPLACE INTO npm_policies VALUES (?1, ?2, ?3, ?4, "
                                   "?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"));
    stmt.bind(view, p.id, position, text_of(p.chain), text_of(p.status), p.reason, p.source,
              p.destination_name, cidr_text(p), p.protocol, std::int64_t{p.dport}, p.comment,
              p.rule, p.created_at.ns);
    return stmt.run();
}

Status PolicyStore::erase(const char* view, const std::string& id) {
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("DELETE FROM npm_policies WHERE view = ?1 AND id = ?2"));
    return stmt.bind(view, id).run();
}

Status PolicyStore::put_staged(const PolicyRecord& policy) {
    RAIND_TRY(Transaction transaction, connection_.begin());
    std::int64_t position = 0;
    {
        RAIND_TRY(
            SqliteStmt stmt,
            connection_.db().prepare(
                "SELECT coalesce((SELECT position FROM npm_policies WHERE view = 'staged' AND "
                "id = ?1), (SELECT coalesce(max(position), 0) + 1 FROM npm_policies WHERE "
                "view = 'staged'))"));
        RAIND_TRY(const bool row, stmt.bind(policy.id).step());
        position = row ? stmt.integer(0) : 1;
    }
    RAIND_CHECK(write("staged", position, policy));
    return transaction.commit();
}

Status PolicyStore::erase_staged(const std::string& id) {
    const auto lock = connection_.lock();
    return erase("staged", id);
}

Status PolicyStore::set_staged_mode(std::optional<core::NsMode> mode) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt, connection_.db().prepare("UPDATE npm_state SET staged_mode = ?1"));
    const std::optional<std::string_view> text =
        mode ? std::optional(text_of(*mode)) : std::nullopt;
    return stmt.bind(text).run();
}

}  // namespace raind::store
