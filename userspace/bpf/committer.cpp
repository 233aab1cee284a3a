#include "userspace/bpf/committer.h"

#include <fmt/format.h>

namespace raind::bpf {

Result<Committer> Committer::make(const Datapath& datapath, const Sweeper& sweeper) {
    RAIND_TRY(ActiveWord word, ActiveWord::map(datapath.active.fd()));
    return Committer(datapath, sweeper, std::move(word));
}

std::uint32_t Committer::idle_slot() const {
    const std::uint64_t word = word_.load();
    return word == 0 ? 0 : 1 - RAIND_ACTIVE_SLOT(word);
}

// Programs that read the active word before the last switch may still be using the idle slot. An
// update of an outer map returns after an RCU grace period; this one puts the same map in again.
Status Committer::wait_for_readers(std::uint32_t slot) const {
    const auto inner = static_cast<std::uint32_t>(datapath_->policy[slot].fd());
    return datapath_->policy_slots.update(slot, inner);
}

Status Committer::fill(std::uint32_t slot, const SlotContent& wanted) {
    std::optional<SlotContent> held = std::exchange(held_[slot], std::nullopt);
    if (!held) {
        held.emplace();
        RAIND_TRY(held->policy, read_content(datapath_->policy[slot]));
        RAIND_TRY(held->cidr, read_content(datapath_->cidr[slot]));
        RAIND_TRY(held->ident, read_content(datapath_->ident[slot]));
    }
    RAIND_CHECK(apply_difference(datapath_->policy[slot], held->policy, wanted.policy));
    RAIND_CHECK(apply_difference(datapath_->cidr[slot], held->cidr, wanted.cidr));
    RAIND_CHECK(apply_difference(datapath_->ident[slot], held->ident, wanted.ident));
    RAIND_CHECK(count_back(slot, wanted));
    held_[slot] = std::move(held);
    return {};
}

Status Committer::count_back(std::uint32_t slot, const SlotContent& wanted) const {
    RAIND_TRY(const auto rules, datapath_->policy[slot].keys());
    RAIND_TRY(const auto prefixes, datapath_->cidr[slot].keys());
    RAIND_TRY(const auto identities, datapath_->ident[slot].keys());
    if (rules.size() != wanted.policy.size() || prefixes.size() != wanted.cidr.size() ||
        identities.size() != wanted.ident.size())
        return Error(Errc::Internal,
                     fmt::format("policy slot {} does not hold what was written", slot));
    return {};
}

Status Committer::apply(const core::CompiledSet& set) {
    RAIND_TRY(const SlotContent wanted, content_of(set));
    RAIND_TRY(raind_gen description, describe_generation(set));
    const std::uint32_t slot = idle_slot();
    RAIND_CHECK(wait_for_readers(slot).context("wait for packets of the old policy"));
    RAIND_CHECK(datapath_->gen.update(slot, raind_gen{}));
    RAIND_CHECK(fill(slot, wanted).context("write policy"));
    std::uint32_t generation = RAIND_ACTIVE_GEN(word_.load()) + 1;
    if (generation == 0)
        generation = 1;
    description.gen = generation;
    description.slot = slot;
    RAIND_CHECK(datapath_->gen.update(slot, description));
    word_.store(RAIND_ACTIVE(generation, slot));
    return {};
}

Result<core::SweepCounts> Committer::rejudge() const {
    RAIND_TRY(const raind_sweep_args done, sweeper_->run(RAIND_SWEEP_REJUDGE | RAIND_SWEEP_EXPIRE));
    return core::SweepCounts{done.visited, done.expired, done.kept, done.cut};
}

Result<core::SweepCounts> Committer::dry_run(std::uint32_t slot) const {
    RAIND_TRY(const raind_sweep_args done,
              sweeper_->run(RAIND_SWEEP_REJUDGE | RAIND_SWEEP_DRY_RUN, 0, slot));
    return core::SweepCounts{done.visited, done.expired, done.kept, done.cut};
}

Status Committer::publish_identity(const core::CompiledIdentity& identity) {
    RAIND_TRY(const raind_identval value, ident_value(identity));
    for (std::uint32_t slot = 0; slot < RAIND_SLOTS; slot++) {
        RAIND_CHECK(datapath_->ident[slot].update(identity.identity, value));
        if (held_[slot])
            held_[slot]->ident[key_bytes(identity.identity)] = value;
    }
    return {};
}

Status Committer::withdraw_identity(core::IdentityId identity) {
    for (std::uint32_t slot = 0; slot < RAIND_SLOTS; slot++) {
        RAIND_CHECK(datapath_->ident[slot].erase(identity));
        if (held_[slot])
            held_[slot]->ident.erase(key_bytes(identity));
    }
    return {};
}

Result<core::AppliedPolicy> Committer::applied() const {
    const std::uint64_t word = word_.load();
    core::AppliedPolicy out;
    if (word == 0)
        return out;
    RAIND_TRY(const std::optional<raind_gen> gen, datapath_->gen.lookup(RAIND_ACTIVE_SLOT(word)));
    if (!gen || gen->gen != RAIND_ACTIVE_GEN(word))
        return Error(Errc::Internal, "the policy slot in force has another generation");
    out.revision = gen->revision;
    out.generation = gen->gen;
    std::ranges::copy(gen->digest, out.digest.begin());
    return out;
}

}  // namespace raind::bpf
