// The policy compiler: committed policies and known identities to a backend-neutral rule set.
//
// Pure: the same policies give the same set and the same digest, in whatever order they were
// written and whatever numbers this host gave to names. Compile only what was committed; a policy
// whose container is missing is compiled too, since the identity of a name stands before the
// container does.
//
// Meaning of protocols: `icmp` covers ICMP and ICMPv6 of every type, between containers in both
// families, to an address in its own family; without a protocol every IP protocol is covered.
#pragma once

#include <map>
#include <string>

#include "raind/result.h"

#include "userspace/core/compiled_set.h"
#include "userspace/core/model.h"
#include "userspace/core/rule_set.h"

namespace raind::core {

using IdentityMap = std::map<std::string, IdentityId, std::less<>>;

// `identities` holds every name that a committed policy mentions and every container's.
// host_to_container: whether the host itself may reach containers (predefined rule 6).
Result<CompiledSet> compile(const PolicyState& state, const IdentityMap& identities,
                            bool host_to_container = true, const CompileLimits& limits = {});

// The chain of one workload: what publish_identity takes when a container starts.
CompiledIdentity workload_chain(IdentityId identity, std::string name);

// The text that the digest is taken over: what is in force, with names, one rule a line, sorted.
std::string canonical_text(const PolicyState& state, bool host_to_container);

// The table's entry of a rule number; null when it has none.
const RuleInfo* find_rule(const CompiledSet& set, RuleId rule);

}  // namespace raind::core
