#include "userspace/runtime/policy_manager.h"

#include <fmt/format.h>
#include <set>

#include "userspace/common/crypto.h"
#include "userspace/common/ids.h"
#include "userspace/common/json.h"
#include "userspace/common/log.h"
#include "userspace/core/policy.h"

namespace raind::runtime {
namespace {

api::PolicyInfo to_info(const core::PolicyRecord& policy) {
    api::PolicyInfo info{.id = policy.id,
                         .status = std::string(core::status_name(policy.status)),
                         .reason = policy.reason,
                         .source_name = policy.source,
                         .protocol = policy.protocol,
                         .dport = policy.dport,
                         .comment = policy.comment};
    if (policy.chain == core::PolicyChain::EastWest)
        info.destination_name = policy.destination_name;
    else
        info.destination_address = core::destination_text(policy);
    return info;
}

std::string intent_of(const core::CompiledSet& set) {
    return dump_json(Json{{"revision", set.revision}, {"digest", to_hex(set.digest)}});
}

}  // namespace

Result<core::ContainerExists> PolicyManager::existing_names() {
    RAIND_TRY(const auto records, store_.containers().list());
    std::set<std::string, std::less<>> names;
    for (const auto& record : records)
        if (record.state != core::ContainerState::Creating)
            names.insert(record.name);
    return core::ContainerExists(
        [names = std::move(names)](std::string_view name) { return names.contains(name); });
}

Result<core::CompiledSet> PolicyManager::compile(const core::PolicyState& state) {
    core::IdentityMap identities;
    const auto give = [&](const std::string& name) -> Status {
        RAIND_TRY(identities[name],
                  store_.identities().number_for(store::IdentityKind::Workload, name));
        return {};
    };
    for (const std::string& name : core::mentioned_names(state))
        RAIND_CHECK(give(name));
    RAIND_TRY(const auto records, store_.containers().list());
    for (const auto& record : records)
        identities[record.name] = record.identity;
    return core::compile(state, identities);
}

Status PolicyManager::recover() {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(core::PolicyState state, store_.policies().load());
    RAIND_TRY(const auto exists, existing_names());
    RAIND_TRY(const core::AppliedPolicy applied, datapath_.applied());
    RAIND_TRY(const auto pending, store_.operations().pending());
    for (const core::OperationRecord& operation : pending) {
        if (operation.kind != "policy.commit")
            continue;
        // The kernel has switched already: the store follows. Otherwise nothing happened.
        RAIND_TRY(core::PolicyState next, core::commit(state, exists));
        RAIND_TRY(const core::CompiledSet set, compile(next));
        RAIND_TRY(auto transaction, store_.begin());
        if (applied.revision == set.revision && applied.digest == set.digest &&
            operation.payload == intent_of(set)) {
            log::info("policy revision {} was committed before the interruption", set.revision);
            RAIND_CHECK(store_.policies().save(next));
            state = std::move(next);
        }
        RAIND_CHECK(store_.operations().finish(operation.id));
        RAIND_CHECK(transaction.commit());
    }
    RAIND_TRY(const core::CompiledSet set, compile(state));
    std::vector<flow::Rule> rules;
    for (const core::RuleInfo& info : set.table)
        rules.push_back({info.rule, info.policy_id});
    identities_.set_rules(rules);
    RAIND_CHECK(prune_identities());
    if (applied.generation != 0 && applied.revision == set.revision && applied.digest == set.digest)
        return {};
    RAIND_CHECK(datapath_.commit(set).context("put the stored policy in force"));
    return {};
}

// Numbers are never given twice, so the store forgets first: what a crash leaves in the kernel is
// known to nobody and goes at the next start.
Status PolicyManager::forget_identities(const core::PolicyState& state) {
    std::set<std::string, std::less<>> used;
    for (const std::string& name : core::mentioned_names(state))
        used.insert(name);
    RAIND_TRY(const auto records, store_.containers().list());
    for (const auto& record : records)
        used.insert(record.name);
    RAIND_TRY(const auto known, store_.identities().all(store::IdentityKind::Workload));
    for (const auto& [name, number] : known) {
        if (used.contains(name))
            continue;
        // A container may have taken the name this very moment.
        if (auto forgotten = store_.identities().forget(store::IdentityKind::Workload, name);
            !forgotten) {
            if (forgotten.error().code() == Errc::Conflict)
                continue;
            return forgotten;
        }
        RAIND_CHECK(datapath_.withdraw_identity(number));
    }
    return {};
}

Status PolicyManager::prune_identities() {
    RAIND_TRY(const auto known, store_.identities().all(store::IdentityKind::Workload));
    std::set<core::IdentityId> numbers;
    for (const auto& [name, number] : known)
        numbers.insert(number);
    RAIND_TRY(const auto published, datapath_.identities());
    for (const core::IdentityId number : published)
        if (!numbers.contains(number))
            RAIND_CHECK(datapath_.withdraw_identity(number));
    return {};
}

void PolicyManager::containers_changed() {
    const std::lock_guard lock(mutex_);
    auto state = store_.policies().load();
    auto exists = existing_names();
    if (!state || !exists) {
        log::error("policy states are not current: {}",
                   (state ? exists.error() : state.error()).message());
        return;
    }
    if (auto forgotten = forget_identities(*state); !forgotten)
        log::error("identities: {}", forgotten.error().message());
    if (!core::resolve(*state, *exists))
        return;
    if (auto saved = store_.policies().save(*state); !saved)
        log::error("policy states are not current: {}", saved.error().message());
}

std::uint64_t PolicyManager::revision() {
    const auto state = store_.policies().load();
    return state ? state->revision : 0;
}

Result<api::PolicyList> PolicyManager::list(const std::string& chain) {
    RAIND_TRY(const core::PolicyChain kind, core::parse_chain(chain));
    RAIND_TRY(const core::PolicyState state, store_.policies().load());
    api::PolicyList list{.mode = core::listed_mode(state, kind)};
    for (const core::PolicyRecord& policy : state.policies)
        if (policy.chain == kind)
            list.policies.push_back(to_info(policy));
    return list;
}

// An id, or the beginning of one, is stored as the container's name; any other word is a name,
// present or future.
Result<std::string> PolicyManager::name_of(const std::string& reference) {
    RAIND_TRY(const auto named, store_.containers().find_by_name(reference));
    if (named)
        return reference;
    const auto record = store_.containers().resolve(reference);
    if (record)
        return record->name;
    if (record.error().code() == Errc::NotFound)
        return reference;
    return Error(record.error());
}

Result<std::string> PolicyManager::add(const api::AddPolicyRequest& request) {
    const std::lock_guard lock(mutex_);
    api::AddPolicyRequest named = request;
    RAIND_TRY(named.source, name_of(request.source));
    if (request.chain == core::chain_name(core::PolicyChain::EastWest)) {
        RAIND_TRY(named.dest, name_of(request.dest));
    }
    RAIND_TRY(core::PolicyRecord policy, core::make_policy(named));
    policy.id = make_ulid();
    policy.created_at = wall_now();
    RAIND_TRY(core::PolicyState state, store_.policies().load());
    RAIND_CHECK(core::stage_add(state, policy));
    RAIND_CHECK(store_.policies().save(state));
    return policy.id;
}

Status PolicyManager::remove(const std::string& id) {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(core::PolicyState state, store_.policies().load());
    RAIND_CHECK(core::stage_remove(state, id));
    return store_.policies().save(state);
}

Status PolicyManager::revert() {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(core::PolicyState state, store_.policies().load());
    RAIND_TRY(const auto exists, existing_names());
    core::revert(state, exists);
    return store_.policies().save(state);
}

Status PolicyManager::set_mode(const std::string& mode) {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(const core::NsMode wanted, core::parse_mode(mode));
    RAIND_TRY(core::PolicyState state, store_.policies().load());
    RAIND_CHECK(core::stage_mode(state, wanted));
    return store_.policies().save(state);
}

Result<api::CommitResult> PolicyManager::commit() {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(core::PolicyState state, store_.policies().load());
    RAIND_TRY(const auto exists, existing_names());
    RAIND_TRY(const core::PolicyState next, core::commit(std::move(state), exists));
    RAIND_TRY(const core::CompiledSet set, compile(next));
    std::vector<flow::Rule> rules;
    for (const core::RuleInfo& info : set.table)
        rules.push_back({info.rule, info.policy_id});
    identities_.set_rules(rules);
    RAIND_TRY(
        const std::int64_t operation,
        store_.operations().begin("policy.commit", std::to_string(set.revision), intent_of(set)));
    auto counts = datapath_.commit(set);
    if (!counts) {
        RAIND_CHECK(store_.operations().finish(operation));
        return std::move(counts.error());
    }
    RAIND_TRY(auto transaction, store_.begin());
    RAIND_CHECK(store_.policies().save(next));
    RAIND_CHECK(store_.operations().finish(operation));
    RAIND_CHECK(transaction.commit());
    if (auto forgotten = forget_identities(next); !forgotten)
        log::error("identities: {}", forgotten.error().message());
    return api::CommitResult{
        .revision = set.revision, .flows_kept = counts->kept, .flows_cut = counts->cut};
}

}  // namespace raind::runtime
