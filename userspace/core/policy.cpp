#include "userspace/core/policy.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <set>

#include "userspace/common/text.h"
#include "userspace/core/names.h"

namespace raind::core {

namespace {

constexpr std::string_view kRemovedByUser = "user operation";
constexpr std::string_view kNextCommit = "_next_commit";
constexpr std::size_t kMaxComment = 256;
constexpr std::int64_t kMaxPort = 65'535;
constexpr RuleId kLastRule = 0x00ffffff;  // prefix classes are numbered by rule: 24 bits

constexpr std::array kChains{PolicyChain::EastWest, PolicyChain::NorthSouthObserve,
                             PolicyChain::NorthSouthEnforce};
constexpr std::array kStatuses{PolicyStatus::BeforeCommit, PolicyStatus::Applied,
                               PolicyStatus::RemoveNextCommit, PolicyStatus::Unresolved};
constexpr std::array kModes{NsMode::Observe, NsMode::Enforce};

Error invalid(std::string message) {
    return Error(Errc::InvalidArgument, std::move(message));
}

Status check_protocol(std::string_view protocol, std::int64_t dport) {
    if (!protocol.empty() && protocol != "tcp" && protocol != "udp" && protocol != "icmp")
        return invalid(
            fmt::format("invalid protocol: {}. expect: tcp|udp|icmp", printable(protocol)));
    if (dport < 0 || dport > kMaxPort)
        return invalid(fmt::format("invalid destination port: {}. expect: 0 to 65535", dport));
    if (dport != 0 && protocol.empty())
        return invalid(fmt::format("destination port {} needs a protocol: tcp or udp", dport));
    if (dport != 0 && protocol == "icmp")
        return invalid(
            fmt::format("destination port {} needs protocol tcp or udp, not icmp", dport));
    return {};
}

Status check_comment(std::string_view comment) {
    if (comment.size() > kMaxComment)
        return invalid(fmt::format("comment has {} bytes, at most {} are allowed", comment.size(),
                                   kMaxComment));
    if (printable(comment) != comment)
        return invalid("comment contains control characters or is not UTF-8");
    return {};
}

Result<Cidr> parse_destination(std::string_view text) {
    auto prefix = Cidr::parse(text);
    if (!prefix)
        return invalid(fmt::format("north-south destination must be an IP address or CIDR: {}",
                                   printable(text)));
    // An IPv4 address hidden in IPv6 never passes, so such a policy could only mislead.
    if (text.find(':') != std::string_view::npos && prefix->is_v4())
        return invalid(fmt::format("write the IPv4 address itself, not {}", printable(text)));
    return *prefix;
}

bool same_meaning(const PolicyRecord& a, const PolicyRecord& b) {
    return a.chain == b.chain && a.source == b.source && a.destination_name == b.destination_name &&
           a.destination_cidr == b.destination_cidr && a.protocol == b.protocol &&
           a.dport == b.dport;
}

// Status and reason of a committed policy.
void set_resolution(PolicyRecord& policy, const ContainerExists& exists) {
    const std::string* missing = nullptr;
    if (!exists(policy.source))
        missing = &policy.source;
    else if (policy.chain == PolicyChain::EastWest && !exists(policy.destination_name))
        missing = &policy.destination_name;
    policy.status = missing == nullptr ? PolicyStatus::Applied : PolicyStatus::Unresolved;
    policy.reason = missing == nullptr ? "" : fmt::format("container: {} not found", *missing);
}

bool resolve_list(std::vector<PolicyRecord>& policies, const ContainerExists& exists) {
    bool changed = false;
    for (PolicyRecord& policy : policies) {
        if (policy.status != PolicyStatus::Applied && policy.status != PolicyStatus::Unresolved)
            continue;
        const PolicyStatus status = policy.status;
        const std::string reason = policy.reason;
        set_resolution(policy, exists);
        changed = changed || policy.status != status || policy.reason != reason;
    }
    return changed;
}

template <typename Enum, std::size_t N, typename Name>
std::optional<Enum> find_word(const std::array<Enum, N>& values, Name name, std::string_view word) {
    const auto it = std::ranges::find(values, word, name);
    if (it == values.end())
        return std::nullopt;
    return *it;
}

}  // namespace

std::string_view chain_name(PolicyChain chain) {
    switch (chain) {
        case PolicyChain::EastWest:
            return "RAIND-EW";
        case PolicyChain::NorthSouthObserve:
            return "RAIND-NS-OBS";
        case PolicyChain::NorthSouthEnforce:
            return "RAIND-NS-ENF";
    }
    return "";
}

Result<PolicyChain> parse_chain(std::string_view name) {
    if (const auto chain = find_word(kChains, chain_name, name))
        return *chain;
    return invalid(fmt::format("Chain: {} is invalid", printable(name)));
}

std::string_view status_name(PolicyStatus status) {
    switch (status) {
        case PolicyStatus::BeforeCommit:
            return "before_commit";
        case PolicyStatus::Applied:
            return "applied";
        case PolicyStatus::RemoveNextCommit:
            return "remove_next_commit";
        case PolicyStatus::Unresolved:
            return "unresolved";
    }
    return "";
}

Result<PolicyStatus> parse_status(std::string_view name) {
    if (const auto status = find_word(kStatuses, status_name, name))
        return *status;
    return invalid(fmt::format("invalid policy status: {}", printable(name)));
}

std::string_view mode_name(NsMode mode) {
    return mode == NsMode::Enforce ? "enforce" : "observe";
}

Result<NsMode> parse_mode(std::string_view name) {
    if (const auto mode = find_word(kModes, mode_name, name))
        return *mode;
    return invalid(fmt::format("invalid mode: {}. expect: observe|enforce", printable(name)));
}

std::string listed_mode(const PolicyState& state, PolicyChain chain) {
    if (chain == PolicyChain::EastWest)
        return "deny_by_default";
    if (state.staged_mode)
        return fmt::format("{}{}", mode_name(*state.staged_mode), kNextCommit);
    return std::string(mode_name(state.mode));
}

std::string destination_text(const PolicyRecord& policy) {
    if (!policy.destination_cidr)
        return policy.destination_name;
    const Cidr& prefix = *policy.destination_cidr;
    const unsigned whole = prefix.is_v4() ? 32 : 128;
    return prefix.length() == whole ? prefix.network().to_string() : prefix.to_string();
}

Result<PolicyRecord> make_policy(const api::AddPolicyRequest& request) {
    PolicyRecord policy;
    RAIND_TRY(policy.chain, parse_chain(request.chain));
    RAIND_CHECK(validate_container_name(request.source).context("source"));
    policy.source = request.source;
    if (policy.chain == PolicyChain::EastWest) {
        RAIND_CHECK(validate_container_name(request.dest).context("destination"));
        policy.destination_name = request.dest;
    } else {
        RAIND_TRY(policy.destination_cidr, parse_destination(request.dest));
    }
    RAIND_CHECK(check_protocol(request.protocol, request.dport));
    policy.protocol = request.protocol;
    policy.dport = static_cast<std::uint16_t>(request.dport);
    RAIND_CHECK(check_comment(request.comment));
    policy.comment = request.comment;
    return policy;
}

Status stage_add(PolicyState& state, PolicyRecord policy) {
    for (const PolicyRecord& other : state.policies) {
        if (other.id == policy.id)
            return Error(Errc::AlreadyExists, fmt::format("ID: {} exists already", policy.id));
        if (other.status != PolicyStatus::RemoveNextCommit && same_meaning(other, policy))
            return Error(Errc::AlreadyExists,
                         fmt::format("policy {} says the same already", other.id));
    }
    policy.status = PolicyStatus::BeforeCommit;
    policy.reason.clear();
    policy.rule = 0;
    state.policies.push_back(std::move(policy));
    return {};
}

Status stage_remove(PolicyState& state, std::string_view id) {
    const auto it = std::ranges::find(state.policies, id, &PolicyRecord::id);
    if (it == state.policies.end())
        return Error(Errc::NotFound, fmt::format("ID: {} not found", printable(id)));
    if (it->status == PolicyStatus::BeforeCommit) {
        state.policies.erase(it);
        return {};
    }
    it->status = PolicyStatus::RemoveNextCommit;
    it->reason = kRemovedByUser;
    return {};
}

Status stage_mode(PolicyState& state, NsMode mode) {
    if (state.staged_mode.value_or(state.mode) == mode)
        return Error(Errc::Conflict, fmt::format("NS Mode already set in: {}", mode_name(mode)));
    if (mode == state.mode)
        state.staged_mode.reset();
    else
        state.staged_mode = mode;
    return {};
}

void revert(PolicyState& state, const ContainerExists& exists) {
    state.policies = state.committed;
    state.staged_mode.reset();
    resolve(state, exists);
}

Result<PolicyState> commit(PolicyState state, const ContainerExists& exists) {
    std::erase_if(state.policies, [](const PolicyRecord& policy) {
        return policy.status == PolicyStatus::RemoveNextCommit;
    });
    for (PolicyRecord& policy : state.policies) {
        if (policy.rule == 0) {
            if (state.next_rule > kLastRule)
                return Error(Errc::Exhausted, "no rule number is left for policy " + policy.id);
            policy.rule = state.next_rule++;
        }
        set_resolution(policy, exists);
    }
    state.mode = state.staged_mode.value_or(state.mode);
    state.staged_mode.reset();
    state.committed = state.policies;
    ++state.revision;
    return state;
}

bool resolve(PolicyState& state, const ContainerExists& exists) {
    const bool staged = resolve_list(state.policies, exists);
    const bool committed = resolve_list(state.committed, exists);
    return staged || committed;
}

std::vector<std::string> mentioned_names(const PolicyState& state) {
    std::set<std::string> names;
    for (const auto* list : {&state.policies, &state.committed}) {
        for (const PolicyRecord& policy : *list) {
            names.insert(policy.source);
            if (policy.chain == PolicyChain::EastWest)
                names.insert(policy.destination_name);
        }
    }
    return {names.begin(), names.end()};
}

}  // namespace raind::core
