#include "cli/policy_view.h"

#include <fmt/format.h>

#include "cli/text.h"

namespace raind::cli {

namespace {

std::string flag_of(const std::string& status) {
    if (status == "applied")
        return "[*]";
    if (status == "before_commit")
        return "[+]";
    if (status == "remove_next_commit")
        return "[-]";
    return "[ ]";
}

std::string mode_text(std::string_view mode) {
    constexpr std::string_view kStaged = "_next_commit";
    if (mode.ends_with(kStaged))
        return fmt::format("{} (Next commit)",
                           terminal_safe(mode.substr(0, mode.size() - kStaged.size())));
    return terminal_safe(mode);
}

std::string_view footer(PolicyKind kind) {
    switch (kind) {
        case PolicyKind::EastWest:
            return "  >> DENY ALL EAST-WEST TRAFFIC <<\n";
        case PolicyKind::Observe:
            return "  >> ALLOW ALL NORTH-SOUTH TRAFFIC <<\n";
        case PolicyKind::Enforce:
            break;
    }
    return "  >> DENY ALL NORTH-SOUTH TRAFFIC <<\n";
}

}  // namespace

std::optional<PolicyKind> parse_policy_kind(std::string_view word) {
    if (word == "ew")
        return PolicyKind::EastWest;
    if (word == "ns-obs")
        return PolicyKind::Observe;
    if (word == "ns-enf")
        return PolicyKind::Enforce;
    return std::nullopt;
}

std::string_view chain_of(PolicyKind kind) {
    switch (kind) {
        case PolicyKind::EastWest:
            return "RAIND-EW";
        case PolicyKind::Observe:
            return "RAIND-NS-OBS";
        case PolicyKind::Enforce:
            break;
    }
    return "RAIND-NS-ENF";
}

bool mode_is_enforce(std::string_view mode) {
    return mode.starts_with("enforce");
}

std::string render_policies(PolicyKind kind, const api::PolicyList& list) {
    const bool east_west = kind == PolicyKind::EastWest;
    Table table({"FLAG", "POLICY ID", "SRC CONTAINER", east_west ? "DST CONTAINER" : "DST ADDR",
                 "PROTOCOL", "DST PORT", "ACTION", "COMMENT", "REASON"});
    for (const api::PolicyInfo& policy : list.policies) {
        const std::string& destination =
            policy.destination_name.empty() ? policy.destination_address : policy.destination_name;
        table.add({flag_of(policy.status), terminal_safe(policy.id),
                   terminal_safe(policy.source_name), terminal_safe(destination),
                   terminal_safe(policy.protocol),
                   policy.dport == 0 ? std::string("*") : std::to_string(policy.dport),
                   kind == PolicyKind::Observe ? "DENY" : "ALLOW", terminal_safe(policy.comment),
                   terminal_safe(policy.reason)});
    }
    return fmt::format("POLICY TYPE : {}\nCURRENT MODE: {}\n\n{}{}",
                       east_west ? "East-West" : "North-South", mode_text(list.mode),
                       table.render(), footer(kind));
}

}  // namespace raind::cli
