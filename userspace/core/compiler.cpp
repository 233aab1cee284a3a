#include "userspace/core/compiler.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "userspace/common/crypto.h"
#include "userspace/core/policy.h"

namespace raind::core {

namespace {

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmp6 = 58;

bool in_force(const PolicyRecord& policy, NsMode mode) {
    switch (policy.chain) {
        case PolicyChain::EastWest:
            return true;
        case PolicyChain::NorthSouthObserve:
            return mode == NsMode::Observe;
        case PolicyChain::NorthSouthEnforce:
            return mode == NsMode::Enforce;
    }
    return false;
}

RuleAction action_of(PolicyChain chain) {
    return chain == PolicyChain::NorthSouthObserve ? RuleAction::Deny : RuleAction::Allow;
}

std::vector<std::uint8_t> protocols_of(const PolicyRecord& policy) {
    if (policy.protocol == "tcp")
        return {kTcp};
    if (policy.protocol == "udp")
        return {kUdp};
    if (policy.protocol == "icmp") {
        if (!policy.destination_cidr)
            return {kIcmp, kIcmp6};
        return {policy.destination_cidr->is_v4() ? kIcmp : kIcmp6};
    }
    return {0};
}

std::string label_of(const PolicyRecord& policy) {
    return fmt::format("policy {} ({} -> {})", policy.id, policy.source, destination_text(policy));
}

Result<IdentityId> identity_of(const IdentityMap& identities, const std::string& name,
                               const PolicyRecord& policy) {
    const auto it = identities.find(name);
    if (it != identities.end() && it->second >= RAIND_ID_WORKLOAD_FIRST &&
        it->second <= RAIND_ID_WORKLOAD_LAST)
        return it->second;
    return Error(Errc::Internal,
                 fmt::format("{}: {} has no identity number", label_of(policy), name));
}

// Class numbers of prefixes come from the lowest rule that uses the prefix: stable from commit to
// commit, and never again another prefix's, because rule numbers are not reused.
using PrefixNumbers = std::map<Cidr, std::uint32_t>;

Result<PrefixNumbers> number_prefixes(const std::vector<const PolicyRecord*>& policies) {
    PrefixNumbers numbers;
    for (const PolicyRecord* policy : policies) {
        if (!policy->destination_cidr)
            continue;
        if (policy->rule < RAIND_RULE_USER || policy->rule > RAIND_ID_WORKLOAD_LAST)
            return Error(Errc::Internal, label_of(*policy) + " has no usable rule number");
        const auto [it, inserted] =
            numbers.try_emplace(*policy->destination_cidr, RAIND_ID_CIDR | policy->rule);
        if (!inserted)
            it->second = std::min(it->second, RAIND_ID_CIDR | policy->rule);
    }
    return numbers;
}

Result<std::vector<ClassRule>> class_rules(const std::vector<const PolicyRecord*>& policies,
                                           const IdentityMap& identities,
                                           const PrefixNumbers& prefixes) {
    std::vector<ClassRule> rules;
    for (const PolicyRecord* policy : policies) {
        if (policy->rule < RAIND_RULE_USER)
            return Error(Errc::Internal, label_of(*policy) + " has no rule number");
        ClassRule rule;
        rule.rule = policy->rule;
        rule.label = label_of(*policy);
        RAIND_TRY(rule.source, identity_of(identities, policy->source, *policy));
        if (policy->destination_cidr) {
            rule.destination = prefixes.at(*policy->destination_cidr);
        } else {
            RAIND_TRY(rule.destination, identity_of(identities, policy->destination_name, *policy));
        }
        rule.action = action_of(policy->chain);
        if (policy->dport != 0)
            rule.port_low = rule.port_high = policy->dport;
        for (std::uint8_t protocol : protocols_of(*policy)) {
            rule.protocol = protocol;
            rules.push_back(rule);
        }
    }
    return rules;
}

std::vector<RuleInfo> rule_table(const PolicyState& state) {
    const PolicyChain ns = state.mode == NsMode::Observe ? PolicyChain::NorthSouthObserve
                                                         : PolicyChain::NorthSouthEnforce;
    std::vector<RuleInfo> table{
        {RAIND_RULE_EW_DEFAULT, "", PolicyChain::EastWest, RuleAction::Deny},
        {RAIND_RULE_NS_OBSERVE, "", PolicyChain::NorthSouthObserve, RuleAction::Allow},
        {RAIND_RULE_NS_ENFORCE, "", PolicyChain::NorthSouthEnforce, RuleAction::Deny},
        {RAIND_RULE_DNS, "", ns, RuleAction::Allow},
        {RAIND_RULE_PUBLISHED, "", ns, RuleAction::Allow},
        {RAIND_RULE_HOST_TO_CTR, "", ns, RuleAction::Allow},
        {RAIND_RULE_GW_ECHO, "", ns, RuleAction::Allow},
        {RAIND_RULE_CTR_TO_HOST, "", ns, RuleAction::Deny},
    };
    for (const PolicyRecord& policy : state.committed)
        table.push_back({policy.rule, policy.id, policy.chain, action_of(policy.chain)});
    std::ranges::sort(table, {}, &RuleInfo::rule);
    return table;
}

std::vector<const PolicyRecord*> rules_in_force(const PolicyState& state) {
    std::vector<const PolicyRecord*> policies;
    for (const PolicyRecord& policy : state.committed) {
        if (in_force(policy, state.mode))
            policies.push_back(&policy);
    }
    std::ranges::sort(policies, {}, [](const PolicyRecord* p) { return std::string_view(p->id); });
    return policies;
}

std::string_view kind_word(PolicyChain chain) {
    switch (chain) {
        case PolicyChain::EastWest:
            return "east-west";
        case PolicyChain::NorthSouthObserve:
            return "north-south_observe";
        case PolicyChain::NorthSouthEnforce:
            return "north-south_enforce";
    }
    return "";
}

}  // namespace

CompiledIdentity workload_chain(IdentityId identity, std::string name) {
    return {.identity = identity,
            .chain = {identity, RAIND_ID_CONTAINERS, RAIND_ID_ANY},
            .name = std::move(name)};
}

std::string canonical_text(const PolicyState& state, bool host_to_container) {
    std::string text = fmt::format(
        "raind policy 1\neast-west deny\nnorth-south {}\n"
        "host-to-container {}\n",
        mode_name(state.mode), host_to_container ? "allow" : "deny");
    for (const PolicyRecord* policy : rules_in_force(state)) {
        const bool allow = action_of(policy->chain) == RuleAction::Allow;
        const std::string destination = policy->destination_cidr
                                            ? policy->destination_cidr->to_string()
                                            : policy->destination_name;
        text += fmt::format("{} {} {} {} {} {} {}\n", policy->id, kind_word(policy->chain),
                            allow ? "allow" : "deny", policy->source, destination,
                            policy->protocol.empty() ? "any" : policy->protocol, policy->dport);
    }
    return text;
}

Result<CompiledSet> compile(const PolicyState& state, const IdentityMap& identities,
                            bool host_to_container, const CompileLimits& limits) {
    CompiledSet set;
    set.revision = state.revision;
    set.mode = state.mode;
    set.host_to_container = host_to_container;
    for (const auto& [name, number] : identities)
        set.identities.push_back(workload_chain(number, name));
    std::ranges::sort(set.identities, {}, &CompiledIdentity::identity);

    const auto policies = rules_in_force(state);
    RAIND_TRY(const PrefixNumbers numbers, number_prefixes(policies));
    RAIND_TRY(const auto rules, class_rules(policies, identities, numbers));
    std::vector<PrefixClass> prefixes;
    for (const auto& [prefix, number] : numbers)
        prefixes.push_back({.prefix = prefix, .number = number});
    RAIND_CHECK(build_rules(set, rules, prefixes, limits));
    set.table = rule_table(state);
    set.digest = sha256(canonical_text(state, host_to_container));
    return set;
}

const RuleInfo* find_rule(const CompiledSet& set, RuleId rule) {
    const auto it = std::ranges::lower_bound(set.table, rule, {}, &RuleInfo::rule);
    return it != set.table.end() && it->rule == rule ? &*it : nullptr;
}

}  // namespace raind::core
