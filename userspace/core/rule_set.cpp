#include "userspace/core/rule_set.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <set>

namespace raind::core {

namespace {

constexpr std::size_t kNamedRules = 8;  // in one message
constexpr std::size_t kChainTail = 2;   // WORLD, ANY
constexpr std::uint16_t kAllPorts = 65535;

// Ranks inside a chain, higher is more specific; 6 bits each. Two classes of one chain never have
// the same, so that two look-ups of one verdict never have the same precedence.
constexpr std::uint32_t kRankAny = 0;
constexpr std::uint32_t kRankGroup = 1;
constexpr std::uint32_t kRankPrefix = 2;  // + number of enclosing prefixes
constexpr std::uint32_t kRankSelf = 63;

using Ranks = std::map<std::uint32_t, std::uint32_t>;

struct Key {
    std::uint32_t source, destination;
    std::uint8_t protocol;
    std::uint16_t port, mask;
    auto operator<=>(const Key&) const = default;
};

std::uint32_t rank_of(std::uint32_t number, const Ranks& prefixes) {
    if (number == RAIND_ID_ANY)
        return kRankAny;
    if (number == RAIND_ID_WORLD || number == RAIND_ID_CONTAINERS)
        return kRankGroup;
    const auto it = prefixes.find(number);
    return it == prefixes.end() ? kRankSelf : it->second;
}

// Port bits before protocol before both classes: 5 + 1 + 6 + 6 of the 19 bits.
std::uint32_t specificity(const ClassRule& rule, std::uint16_t mask, const Ranks& ranks) {
    const auto bits = static_cast<std::uint32_t>(std::popcount(mask));
    return bits << 13 | (rule.protocol != 0 ? 1U << 12 : 0U) | rank_of(rule.source, ranks) << 6 |
           rank_of(rule.destination, ranks);
}

std::string list_of(const std::set<std::string>& names) {
    std::vector<std::string> shown(names.begin(), names.end());
    const std::size_t count = shown.size();
    if (count > kNamedRules) {
        shown.resize(kNamedRules);
        shown.push_back(fmt::format("and {} more", count - kNamedRules));
    }
    return fmt::format("{}", fmt::join(shown, ", "));
}

Error over(std::string what, const std::set<std::string>& names) {
    return Error(Errc::Exhausted, fmt::format("policy set {}: {}", what, list_of(names)));
}

std::set<std::string> labels_with(std::span<const ClassRule> rules,
                                  const std::set<std::uint32_t>& classes) {
    std::set<std::string> names;
    for (const ClassRule& rule : rules) {
        if (classes.contains(rule.source) || classes.contains(rule.destination))
            names.insert(rule.label);
    }
    return names;
}

// Chains of all prefixes and the rank of each prefix class. Sorted by network, then length, every
// enclosing prefix comes before those inside it: one walk with a stack sees all nestings.
Result<Ranks> build_prefixes(CompiledSet& set, std::span<const ClassRule> rules,
                             std::span<const PrefixClass> prefixes, const CompileLimits& limits) {
    std::vector<PrefixClass> sorted(prefixes.begin(), prefixes.end());
    std::ranges::sort(sorted, {}, [](const PrefixClass& p) {
        return std::tuple(p.prefix.is_v4(), p.prefix.network(), p.prefix.length());
    });
    Ranks ranks;
    std::vector<PrefixClass> open;
    for (const PrefixClass& current : sorted) {
        while (!open.empty() && (open.back().prefix.is_v4() != current.prefix.is_v4() ||
                                 !open.back().prefix.contains(current.prefix)))
            open.pop_back();
        ranks[current.number] = kRankPrefix + static_cast<std::uint32_t>(open.size());
        open.push_back(current);
        CompiledPrefix compiled{.prefix = current.prefix, .chain = {}};
        for (auto it = open.rbegin(); it != open.rend(); ++it)
            compiled.chain.push_back(it->number);
        if (compiled.chain.size() + kChainTail > limits.chain)
            return over(fmt::format("nests {} prefixes around {}, at most {} are possible",
                                    compiled.chain.size(), current.prefix.to_string(),
                                    limits.chain - kChainTail),
                        labels_with(rules, {compiled.chain.begin(), compiled.chain.end()}));
        compiled.chain.insert(compiled.chain.end(), {RAIND_ID_WORLD, RAIND_ID_ANY});
        set.prefixes.push_back(std::move(compiled));
    }
    return ranks;
}

struct Entry {
    CompiledRule rule;
    std::string label;
};

// One entry per key. Two rules with one key match the same packets: the higher precedence stays,
// at the same the older rule.
void add_entry(std::map<Key, Entry>& entries, const Key& key, Entry entry,
               std::vector<std::string>& warnings) {
    const auto [it, inserted] = entries.try_emplace(key, entry);
    if (inserted)
        return;
    const auto order = [](const CompiledRule& r) { return std::pair(r.precedence, ~r.rule); };
    Entry& held = it->second;
    const bool replaces = order(entry.rule) > order(held.rule);
    const std::string& loser = replaces ? held.label : entry.label;
    const std::string& winner = replaces ? entry.label : held.label;
    if (loser != winner)
        warnings.push_back(fmt::format("{} has no effect: {} matches the same", loser, winner));
    if (replaces)
        held = std::move(entry);
}

std::map<Key, Entry> build_entries(std::span<const ClassRule> rules, const Ranks& ranks,
                                   std::vector<std::string>& warnings) {
    std::map<Key, Entry> entries;
    for (const ClassRule& rule : rules) {
        for (const PortBlock& block : split_ports(rule.port_low, rule.port_high)) {
            const bool deny = rule.action == RuleAction::Deny;
            const CompiledRule compiled{
                .source = rule.source,
                .destination = rule.destination,
                .port = block.port,
                .protocol = rule.protocol,
                .rule = rule.rule,
                .precedence = RAIND_PRECEDENCE(std::uint32_t{rule.priority}, deny,
                                               specificity(rule, block.mask, ranks)),
                .action = rule.action,
                .flags = rule.flags,
            };
            const Key key{rule.source, rule.destination, rule.protocol, block.port, block.mask};
            add_entry(entries, key, Entry{compiled, rule.label}, warnings);
        }
    }
    return entries;
}

// The datapath's key holds the masked port, but not the mask: two blocks of different size that
// begin at one port would be one entry, and the narrow rule would answer for the wide one.
Status check_distinct(const std::map<Key, Entry>& entries) {
    const Key* before = nullptr;
    for (const auto& [key, entry] : entries) {
        const bool same_port = before != nullptr && before->source == key.source &&
                               before->destination == key.destination &&
                               before->protocol == key.protocol && before->port == key.port;
        if (same_port)
            return Error(Errc::Unsupported,
                         fmt::format("{} and {} have port ranges of different size that begin at "
                                     "port {}",
                                     entries.at(*before).label, entry.label, key.port));
        before = &key;
    }
    return {};
}

// The masks in use, the narrowest ports first.
std::vector<CompiledMask> build_masks(const std::map<Key, Entry>& entries) {
    std::map<std::pair<std::uint16_t, bool>, std::uint8_t> kinds;
    for (const auto& [key, entry] : entries) {
        std::uint8_t& seen = kinds[{key.mask, key.protocol == 0}];
        seen =
            static_cast<std::uint8_t>(seen | class_kind(key.source) | class_kind(key.destination));
    }
    std::vector<CompiledMask> masks;
    for (auto it = kinds.rbegin(); it != kinds.rend(); ++it)
        masks.push_back(
            {.port_mask = it->first.first, .proto_any = it->first.second, .kinds = it->second});
    return masks;
}

std::size_t count_kinds(const std::vector<std::uint32_t>& chain, std::uint8_t kinds) {
    return static_cast<std::size_t>(std::ranges::count_if(
        chain, [&](std::uint32_t number) { return (class_kind(number) & kinds) != 0; }));
}

std::size_t probes(const std::vector<CompiledMask>& masks, const std::vector<std::uint32_t>& from,
                   const std::vector<std::uint32_t>& to) {
    std::size_t sum = 0;
    for (const CompiledMask& mask : masks)
        sum += count_kinds(from, mask.kinds) * count_kinds(to, mask.kinds);
    return sum;
}

// The most look-ups of any pair. One side is always a container (the count is the same in both
// directions); only chains of different make-up can differ in it, so each make-up is tried once.
Status bound_probes(CompiledSet& set, std::span<const ClassRule> rules,
                    const CompileLimits& limits) {
    using Chains = std::map<std::vector<std::uint8_t>, std::vector<std::uint32_t>>;
    const auto add = [](Chains& chains, const std::vector<std::uint32_t>& chain) {
        std::vector<std::uint8_t> makeup;
        for (std::uint32_t number : chain)
            makeup.push_back(class_kind(number));
        chains.try_emplace(std::move(makeup), chain);
    };
    Chains containers;
    for (const CompiledIdentity& identity : set.identities)
        add(containers, identity.chain);
    Chains others = containers;
    add(others, {RAIND_ID_WORLD, RAIND_ID_ANY});
    for (const CompiledPrefix& prefix : set.prefixes)
        add(others, prefix.chain);
    std::set<std::uint32_t> worst;
    for (const auto& [from_kinds, from] : containers) {
        for (const auto& [to_kinds, to] : others) {
            const std::size_t needed = probes(set.masks, from, to);
            if (needed <= set.max_probes)
                continue;
            set.max_probes = static_cast<unsigned>(needed);
            worst.clear();
            worst.insert(from.begin(), from.end());
            worst.insert(to.begin(), to.end());
        }
    }
    if (set.max_probes > limits.probes)
        return over(fmt::format("needs {} look-ups for one verdict, at most {} are allowed",
                                set.max_probes, limits.probes),
                    labels_with(rules, worst));
    return {};
}

std::set<std::string> all_labels(std::span<const ClassRule> rules) {
    std::set<std::string> names;
    for (const ClassRule& rule : rules)
        names.insert(rule.label);
    return names;
}

Status check_sizes(const CompiledSet& set, std::span<const ClassRule> rules,
                   const CompileLimits& limits) {
    const auto check = [&](std::size_t have, std::size_t most, std::string_view what) -> Status {
        if (have <= most)
            return {};
        return over(fmt::format("has {} {}, at most {} are possible", have, what, most),
                    all_labels(rules));
    };
    RAIND_CHECK(check(set.rules.size(), limits.rules, "entries"));
    RAIND_CHECK(check(set.prefixes.size(), limits.prefixes, "prefixes"));
    RAIND_CHECK(check(set.identities.size(), limits.identities, "identities"));
    return check(set.masks.size(), limits.masks, "port block sizes");
}

}  // namespace

std::vector<PortBlock> split_ports(std::uint16_t low, std::uint16_t high) {
    std::vector<PortBlock> blocks;
    std::uint32_t next = low;
    while (next <= high) {
        std::uint32_t size = next == 0 ? std::uint32_t{kAllPorts} + 1 : next & (~next + 1);
        while (next + size - 1 > high)
            size >>= 1;
        blocks.push_back({.port = static_cast<std::uint16_t>(next),
                          .mask = static_cast<std::uint16_t>(~(size - 1))});
        next += size;
    }
    return blocks;
}

std::uint8_t class_kind(std::uint32_t number) {
    switch (number & RAIND_ID_TYPE_MASK) {
        case RAIND_ID_SELECTOR:
            return RAIND_KIND_SELECTOR;
        case RAIND_ID_CIDR:
        case RAIND_ID_FQDN:
            return RAIND_KIND_PREFIX;
        default:
            break;
    }
    if (number == RAIND_ID_ANY)
        return RAIND_KIND_ANY;
    if (number == RAIND_ID_WORLD || number == RAIND_ID_CONTAINERS)
        return RAIND_KIND_GROUP;
    if (number == RAIND_ID_HOST || number == RAIND_ID_GATEWAY || number == RAIND_ID_DNS)
        return RAIND_KIND_HOST;
    return RAIND_KIND_WORKLOAD;
}

Status build_rules(CompiledSet& set, std::span<const ClassRule> rules,
                   std::span<const PrefixClass> prefixes, const CompileLimits& limits) {
    RAIND_TRY(const Ranks ranks, build_prefixes(set, rules, prefixes, limits));
    const auto entries = build_entries(rules, ranks, set.warnings);
    RAIND_CHECK(check_distinct(entries));
    set.masks = build_masks(entries);
    for (const auto& [key, entry] : entries)
        set.rules.push_back(entry.rule);
    RAIND_CHECK(check_sizes(set, rules, limits));
    return bound_probes(set, rules, limits);
}

}  // namespace raind::core
