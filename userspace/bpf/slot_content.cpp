#include "userspace/bpf/slot_content.h"

#include <algorithm>
#include <fmt/format.h>

#include "userspace/bpf/convert.h"

namespace raind::bpf {

namespace {

Result<raind_chain> chain_value(const std::vector<std::uint32_t>& chain, const std::string& what) {
    if (chain.empty() || chain.size() > RAIND_MAX_CHAIN)
        return Error(Errc::TooLarge, fmt::format("{} has {} classes, at most {} are possible", what,
                                                 chain.size(), RAIND_MAX_CHAIN));
    raind_chain out{};
    out.n = static_cast<std::uint32_t>(chain.size());
    std::ranges::copy(chain, std::begin(out.cls));
    return out;
}

Status add_rule(SlotContent& content, const core::CompiledRule& rule) {
    raind_polkey key{};
    key.src = rule.source;
    key.dst = rule.destination;
    key.port = rule.port;
    key.proto = rule.protocol;
    raind_polval value{};
    value.rule = rule.rule;
    value.precedence = rule.precedence;
    value.action = static_cast<std::uint8_t>(rule.action);
    value.flags = rule.flags;
    const auto [at, fresh] = content.policy.emplace(key_bytes(key), value);
    if (!fresh)
        return Error(Errc::Internal,
                     fmt::format("rules {} and {} have the same key", at->second.rule, rule.rule));
    return {};
}

}  // namespace

Result<raind_identval> ident_value(const core::CompiledIdentity& identity) {
    raind_identval out{};
    RAIND_TRY(out.chain,
              chain_value(identity.chain, fmt::format("identity {}", identity.identity)));
    return out;
}

Result<SlotContent> content_of(const core::CompiledSet& set) {
    if (set.rules.size() > RAIND_MAX_POLICY || set.prefixes.size() > RAIND_MAX_CIDR ||
        set.identities.size() > RAIND_MAX_IDENT)
        return Error(Errc::TooLarge, "the policy set does not fit into the kernel's maps");
    SlotContent content;
    for (const core::CompiledRule& rule : set.rules)
        RAIND_CHECK(add_rule(content, rule));
    for (const core::CompiledPrefix& prefix : set.prefixes) {
        RAIND_TRY(const raind_chain chain, chain_value(prefix.chain, prefix.prefix.to_string()));
        content.cidr[key_bytes(to_abi(prefix.prefix))] = chain;
    }
    for (const core::CompiledIdentity& identity : set.identities) {
        RAIND_TRY(const raind_identval value, ident_value(identity));
        content.ident[key_bytes(identity.identity)] = value;
    }
    return content;
}

Result<raind_gen> describe_generation(const core::CompiledSet& set) {
    if (set.masks.size() > RAIND_MAX_MASKS)
        return Error(Errc::TooLarge, fmt::format("the policy set needs {} port masks, at most {} "
                                                 "are possible",
                                                 set.masks.size(), RAIND_MAX_MASKS));
    raind_gen out{};
    out.revision = set.revision;
    std::ranges::copy(set.digest, std::begin(out.digest));
    out.default_ew = RAIND_MODE_ENFORCE;
    out.default_ns = set.mode == core::NsMode::Observe ? RAIND_MODE_OBSERVE : RAIND_MODE_ENFORCE;
    out.host_to_container = set.host_to_container ? 1 : 0;
    out.dns_mode = RAIND_DNS_OFF;
    out.nmask = static_cast<std::uint8_t>(set.masks.size());
    out.max_probes = RAIND_MAX_PROBES;
    out.stamp_mask = RAIND_STAMP_MASK;
    for (std::size_t i = 0; i < set.masks.size(); i++) {
        out.masks[i].portmask = set.masks[i].port_mask;
        out.masks[i].proto_any = set.masks[i].proto_any ? 1 : 0;
        out.masks[i].kinds = set.masks[i].kinds;
    }
    return out;
}

}  // namespace raind::bpf
