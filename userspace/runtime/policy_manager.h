// Policies from add to commit: the staged view in the store, the committed set in the datapath. One
// mutex serialises every change. A commit is recorded as an operation, so that a crash between the
// kernel's switch and the store is told apart from one before it.
#pragma once

#include <mutex>

#include "userspace/core/compiler.h"
#include "userspace/core/policy.h"
#include "userspace/core/services.h"
#include "userspace/flow/identity.h"
#include "userspace/runtime/datapath.h"
#include "userspace/store/store.h"

namespace raind::runtime {

class PolicyManager final : public core::PolicyService {
  public:
    PolicyManager(store::Store& store, Datapath& datapath, flow::IdentityTable& identities)
        : store_(store), datapath_(datapath), identities_(identities) {}

    // At start: finishes an interrupted commit or puts the stored revision in force again.
    Status recover();
    // The set of containers has changed: "applied" and "unresolved" follow. No commit.
    void containers_changed();
    std::uint64_t revision();

    Result<api::PolicyList> list(const std::string& chain) override;
    Result<std::string> add(const api::AddPolicyRequest& request) override;
    Status remove(const std::string& id) override;
    Result<api::CommitResult> commit() override;
    Status revert() override;
    Status set_mode(const std::string& mode) override;

  private:
    Result<core::ContainerExists> existing_names();
    Result<core::CompiledSet> compile(const core::PolicyState& state);
    // Names without a container and without a rule lose their number, in store and kernel.
    Status forget_identities(const core::PolicyState& state);
    // At start: what the kernel still holds of numbers that the store has forgotten.
    Status prune_identities();
    Result<std::string> name_of(const std::string& reference);

    store::Store& store_;
    Datapath& datapath_;
    flow::IdentityTable& identities_;
    std::mutex mutex_;  // one change at a time
};

}  // namespace raind::runtime
