// Policies as their users see them: validation, and the states between add and commit.
//
// Every operation is a pure function on PolicyState; the caller stores the result. Nothing here
// changes what is in force: that is `committed`, which the compiler turns into a CompiledSet.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raind/api/types.h"
#include "raind/result.h"

#include "userspace/core/model.h"

namespace raind::core {

// Words of the contract.
std::string_view chain_name(PolicyChain chain);  // RAIND-EW, RAIND-NS-OBS, RAIND-NS-ENF
Result<PolicyChain> parse_chain(std::string_view name);
std::string_view status_name(PolicyStatus status);  // before_commit, applied, ...
Result<PolicyStatus> parse_status(std::string_view name);
std::string_view mode_name(NsMode mode);  // observe, enforce
Result<NsMode> parse_mode(std::string_view name);
// The mode as listed: deny_by_default for east-west, else the mode, the staged one with
// `_next_commit`.
std::string listed_mode(const PolicyState& state, PolicyChain chain);

// What stands in the destination column: the name, or the address (a whole prefix without length).
std::string destination_text(const PolicyRecord& policy);

// Whether a container of this name exists, running or not.
using ContainerExists = std::function<bool(std::string_view)>;

// A request checked and turned into a record without id, creation time and rule. Ids of containers
// have been replaced by names before.
Result<PolicyRecord> make_policy(const api::AddPolicyRequest& request);

// Stages a policy. The same policy twice is refused with the id of the first.
Status stage_add(PolicyState& state, PolicyRecord policy);
// Marks a policy for removal at the next commit; one that was never committed is gone at once.
Status stage_remove(PolicyState& state, std::string_view id);
// Stages a mode; naming the mode in force takes a staged one back.
Status stage_mode(PolicyState& state, NsMode mode);
// Drops everything staged since the last commit.
void revert(PolicyState& state, const ContainerExists& exists);

// The state after a commit: staged changes carried out, rule numbers given, revision raised. The
// caller stores it once the datapath has taken the compiled set.
Result<PolicyState> commit(PolicyState state, const ContainerExists& exists);

// `applied` and `unresolved` as the containers that exist now demand. Whether anything changed.
bool resolve(PolicyState& state, const ContainerExists& exists);

// Every container name that a policy of either list mentions: each needs an identity before commit.
std::vector<std::string> mentioned_names(const PolicyState& state);

}  // namespace raind::core
