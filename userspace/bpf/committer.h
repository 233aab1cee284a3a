// Committer: puts a compiled set into force. The idle slot gets what separates it from the wanted
// set, then one 8-byte store switches over. Failure before the store changes nothing. One thread.
#pragma once

#include <array>
#include <optional>

#include "raind/result.h"

#include "userspace/bpf/active_word.h"
#include "userspace/bpf/datapath.h"
#include "userspace/bpf/slot_content.h"
#include "userspace/bpf/sweeper.h"
#include "userspace/core/backend.h"

namespace raind::bpf {

class Committer {
  public:
    static Result<Committer> make(const Datapath& datapath, const Sweeper& sweeper);

    // Steps 1 to 4 of a commit: the set is in force for new packets when this returns.
    Status apply(const core::CompiledSet& set);
    // Step 5: all flows are judged by the set in force; counts of kept and cut ones.
    Result<core::SweepCounts> rejudge() const;
    // How many flows the idle slot would keep and cut; for tests and plans.
    Result<core::SweepCounts> dry_run(std::uint32_t slot) const;
    // The chain of one identity in both slots; no commit.
    Status publish_identity(const core::CompiledIdentity& identity);
    Status withdraw_identity(core::IdentityId identity);
    // What the kernel enforces; revision 0 when nothing was ever committed.
    Result<core::AppliedPolicy> applied() const;

  private:
    Committer(const Datapath& datapath, const Sweeper& sweeper, ActiveWord word)
        : datapath_(&datapath), sweeper_(&sweeper), word_(std::move(word)) {}
    std::uint32_t idle_slot() const;
    Status wait_for_readers(std::uint32_t slot) const;
    Status fill(std::uint32_t slot, const SlotContent& wanted);
    Status count_back(std::uint32_t slot, const SlotContent& wanted) const;

    const Datapath* datapath_;
    const Sweeper* sweeper_;
    ActiveWord word_;
    // What the slots hold; unknown after a start or a failure, then read from the kernel.
    std::array<std::optional<SlotContent>, RAIND_SLOTS> held_;
};

}  // namespace raind::bpf
