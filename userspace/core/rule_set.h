// Class rules and their form in the datapath: keys with precedence, masks, prefix chains.
//
// The lower half of the policy compiler: it knows classes, ports and priorities, but neither
// policies nor names. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "raind/abi/maps.h"
#include "raind/result.h"

#include "userspace/core/compiled_set.h"

namespace raind::core {

inline constexpr std::uint16_t kDefaultPriority = 500;  // of 0 (first) to 1023

// Ports low & mask ... that one look-up covers.
struct PortBlock {
    std::uint16_t port = 0;
    std::uint16_t mask = 0;
    auto operator<=>(const PortBlock&) const = default;
};

// The aligned blocks that make up low..high; at most 30.
std::vector<PortBlock> split_ports(std::uint16_t low, std::uint16_t high);

struct ClassRule {
    RuleId rule = 0;
    std::string label;              // names the rule in messages
    std::uint32_t source = 0;       // identity or class
    std::uint32_t destination = 0;  // identity or class
    std::uint8_t protocol = 0;      // IP protocol number, 0: any
    std::uint16_t port_low = 0;
    std::uint16_t port_high = 65535;  // 0..65535: any
    RuleAction action = RuleAction::Allow;
    std::uint16_t priority = kDefaultPriority;
    std::uint8_t flags = 0;  // RAIND_POL_*
};

// One distinct prefix that rules use, and its class.
struct PrefixClass {
    Cidr prefix;
    std::uint32_t number = 0;  // RAIND_ID_CIDR + n
};

struct CompileLimits {
    std::size_t rules = RAIND_MAX_POLICY;
    std::size_t prefixes = RAIND_MAX_CIDR;
    std::size_t identities = RAIND_MAX_IDENT;
    std::size_t masks = RAIND_MAX_MASKS;
    std::size_t chain = RAIND_MAX_CHAIN;
    std::size_t probes = RAIND_MAX_PROBES;
};

// RAIND_KIND_* of a class.
std::uint8_t class_kind(std::uint32_t number);

// Fills rules, prefixes, masks, max_probes and warnings of `set`, whose identities are there
// already. A set over a limit is refused; the message names the rules.
Status build_rules(CompiledSet& set, std::span<const ClassRule> rules,
                   std::span<const PrefixClass> prefixes, const CompileLimits& limits);

}  // namespace raind::core
