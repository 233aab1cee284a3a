#include "userspace/core/verdict.h"

#include "userspace/core/packet.h"

namespace raind::core {

namespace {

constexpr std::uint16_t kEchoRequest4 = 8 << 8;
constexpr std::uint16_t kEchoRequest6 = 128 << 8;

bool is_echo_request(const Question& question) {
    return (question.protocol == kProtoIcmp && question.port == kEchoRequest4) ||
           (question.protocol == kProtoIcmp6 && question.port == kEchoRequest6);
}

Verdict by_default(raind_verdict verdict, RuleId rule) {
    return {.verdict = verdict, .reason = RAIND_R_DEFAULT, .rule = rule, .match_class = 0};
}

}  // namespace

bool is_host_class(IdentityId identity) {
    return identity == RAIND_ID_HOST || identity == RAIND_ID_GATEWAY || identity == RAIND_ID_DNS;
}

bool is_workload(IdentityId identity) {
    return identity >= RAIND_ID_WORKLOAD_FIRST && identity <= RAIND_ID_WORKLOAD_LAST;
}

VerdictTable::VerdictTable(const CompiledSet& set)
    : prefixes_(set.prefixes),
      masks_(set.masks),
      revision_(set.revision),
      mode_(set.mode),
      host_to_container_(set.host_to_container) {
    for (const CompiledRule& rule : set.rules)
        rules_.emplace(Key{rule.source, rule.destination, rule.port, rule.protocol}, rule);
    for (const CompiledIdentity& identity : set.identities)
        identities_.emplace(identity.identity, identity.chain);
}

std::vector<std::uint32_t> VerdictTable::chain(IdentityId identity,
                                               const IpAddress& address) const {
    if (is_host_class(identity))
        return {identity};
    if (is_workload(identity)) {
        const auto it = identities_.find(identity);
        return it == identities_.end() ? std::vector<std::uint32_t>{} : it->second;
    }
    if (identity != RAIND_ID_WORLD)
        return {};
    const CompiledPrefix* longest = nullptr;
    for (const CompiledPrefix& prefix : prefixes_) {
        if (prefix.prefix.is_v4() != address.is_v4() || !prefix.prefix.contains(address))
            continue;
        if (longest == nullptr || prefix.prefix.length() > longest->prefix.length())
            longest = &prefix;
    }
    if (longest != nullptr)
        return longest->chain;
    return {RAIND_ID_WORLD, RAIND_ID_ANY};
}

const CompiledRule* VerdictTable::best_rule(const Question& question,
                                            const std::vector<std::uint32_t>& from,
                                            const std::vector<std::uint32_t>& to) const {
    const CompiledRule* best = nullptr;
    for (const CompiledMask& mask : masks_) {
        for (std::uint32_t source : from) {
            for (std::uint32_t destination : to) {
                const auto port = static_cast<std::uint16_t>(question.port & mask.port_mask);
                const std::uint8_t protocol = mask.proto_any ? 0 : question.protocol;
                const auto it = rules_.find(Key{source, destination, port, protocol});
                if (it == rules_.end())
                    continue;
                const CompiledRule& rule = it->second;
                if ((rule.flags & RAIND_POL_PUBLISHED) != 0 && !question.published &&
                    question.source == RAIND_ID_WORLD)
                    continue;
                if (best == nullptr || rule.precedence > best->precedence)
                    best = &rule;
            }
        }
    }
    return best;
}

Verdict VerdictTable::predefined(const Question& question) const {
    const bool from_workload = is_workload(question.source);
    const bool to_workload = is_workload(question.destination);
    if (from_workload && to_workload)
        return by_default(RAIND_V_DENY, RAIND_RULE_EW_DEFAULT);
    if (is_host_class(question.source) && to_workload)
        return by_default(host_to_container_ ? RAIND_V_ALLOW : RAIND_V_DENY,
                          RAIND_RULE_HOST_TO_CTR);
    if (question.destination == RAIND_ID_GATEWAY && is_echo_request(question))
        return by_default(RAIND_V_ALLOW, RAIND_RULE_GW_ECHO);
    if (is_host_class(question.destination))
        return by_default(RAIND_V_DENY, RAIND_RULE_CTR_TO_HOST);
    const bool published = question.source == RAIND_ID_WORLD && to_workload && question.published;
    if (!published && (!from_workload || question.destination != RAIND_ID_WORLD))
        return by_default(RAIND_V_DENY, RAIND_RULE_NS_ENFORCE);
    bool observe = mode_ == NsMode::Observe;
    if ((question.endpoint_flags & RAIND_EP_NS_OBSERVE) != 0)
        observe = true;
    if ((question.endpoint_flags & RAIND_EP_NS_ENFORCE) != 0)
        observe = false;
    const RuleId permits = published ? RAIND_RULE_PUBLISHED : RAIND_RULE_NS_OBSERVE;
    return observe ? by_default(RAIND_V_ALLOW, permits)
                   : by_default(RAIND_V_DENY, RAIND_RULE_NS_ENFORCE);
}

Verdict VerdictTable::judge(const Question& question) const {
    const auto from = chain(question.source, question.source_address);
    const auto to = chain(question.destination, question.destination_address);
    if (from.empty() || to.empty())
        return {
            .verdict = RAIND_V_DENY, .reason = RAIND_R_NO_IDENTITY, .rule = 0, .match_class = 0};
    Verdict verdict;
    if (const CompiledRule* rule = best_rule(question, from, to)) {
        const bool other_is_source = !is_workload(question.source);
        verdict = {.verdict = rule->action == RuleAction::Allow ? RAIND_V_ALLOW : RAIND_V_DENY,
                   .reason = RAIND_R_POLICY,
                   .rule = rule->rule,
                   .match_class = other_is_source ? rule->source : rule->destination};
    } else {
        verdict = predefined(question);
    }
    if (verdict.denied() && (question.endpoint_flags & RAIND_EP_AUDIT) != 0)
        verdict.verdict = RAIND_V_AUDIT;
    return verdict;
}

}  // namespace raind::core
