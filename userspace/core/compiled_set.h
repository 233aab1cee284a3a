// What the policy compiler gives to an enforcement backend: rules, classes and prefixes as numbers,
// with everything a verdict reads. Neutral: a backend turns it into map entries or netfilter rules.
// See docs/design and include/raind/abi for the meaning of the numbers.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "userspace/core/model.h"

namespace raind::core {

enum class RuleAction : std::uint8_t { Allow = 1, Deny = 2 };

struct CompiledRule {
    std::uint32_t source = 0;       // class or identity
    std::uint32_t destination = 0;  // class or identity
    std::uint16_t port = 0;         // masked; ICMP: type * 256 + code
    std::uint8_t protocol = 0;      // IP protocol number, 0: any
    RuleId rule = 0;
    std::uint32_t precedence = 0;
    RuleAction action = RuleAction::Allow;
    std::uint8_t flags = 0;  // RAIND_POL_*
};

struct CompiledIdentity {
    IdentityId identity = 0;
    std::vector<std::uint32_t> chain;  // itself, selector classes, CONTAINERS, ANY; at most 8
    std::string name = {};             // of the containers that have it
};

struct CompiledPrefix {
    Cidr prefix;
    std::vector<std::uint32_t> chain;  // CIDR classes from the most specific on, WORLD, ANY
};

struct CompiledMask {
    std::uint16_t port_mask = 0;
    bool proto_any = false;
    std::uint8_t kinds = 0;  // RAIND_KIND_* that occur with this mask
};

// An address outside that no prefix covers has the chain WORLD, ANY.

// What a rule number means to people; predefined rules have an empty policy id.
struct RuleInfo {
    RuleId rule = 0;
    std::string policy_id;
    PolicyChain chain = PolicyChain::EastWest;
    RuleAction action = RuleAction::Allow;
};

struct CompiledSet {
    std::uint64_t revision = 0;
    NsMode mode = NsMode::Observe;
    bool host_to_container = true;  // predefined rule 6
    std::vector<CompiledRule> rules;
    std::vector<CompiledIdentity> identities;
    std::vector<CompiledPrefix> prefixes;
    std::vector<CompiledMask> masks;    // at most 16
    std::vector<RuleInfo> table;        // predefined and user rules, the inactive list's included
    std::vector<std::string> warnings;  // for people: what has no effect, and why
    unsigned max_probes = 0;            // most look-ups that any pair needs
    std::array<std::uint8_t, 32> digest{};  // SHA-256 of the canonical text, names not numbers
};

}  // namespace raind::core
