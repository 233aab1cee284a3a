// The frame of `policy ls`. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "raind/api/types.h"

namespace raind::cli {

enum class PolicyKind { EastWest, Observe, Enforce };

// "ew", "ns-obs", "ns-enf".
std::optional<PolicyKind> parse_policy_kind(std::string_view word);
// The chain that the API calls it by.
std::string_view chain_of(PolicyKind kind);

// Whether the north-south list that is or will be in force is that of enforce.
bool mode_is_enforce(std::string_view mode);

inline constexpr std::string_view kPolicyLegend =
    "FLAG: [*] - Applied, [+] - Apply next commit, [-] - Remove next commit, [ ] - Not applied\n\n";
inline constexpr std::string_view kPolicySeparator = "\n============================\n";

// Type, mode, table and footer of one list.
std::string render_policies(PolicyKind kind, const api::PolicyList& list);

}  // namespace raind::cli
