// The verdict of a compiled set on one question: what the datapath's policy look-up must answer.
//
// Written for plainness, not speed: it tries every mask and every pair of classes and does not use
// the hints (kinds, bound of look-ups) that the datapath relies on, so that a wrong hint shows as a
// difference.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "raind/abi/enums.h"

#include "userspace/core/compiled_set.h"

namespace raind::core {

// In the direction of the flow's opener.
struct Question {
    IdentityId source = 0;  // workload, or RAIND_ID_HOST, GATEWAY, DNS, WORLD
    IdentityId destination = 0;
    IpAddress source_address;  // read when the identity is WORLD
    IpAddress destination_address;
    std::uint8_t protocol = 0;
    std::uint16_t port = 0;            // as in raind_polkey
    std::uint32_t endpoint_flags = 0;  // RAIND_EP_* of the port where the flow begins
    bool published = false;            // came through a published port
};

struct Verdict {
    raind_verdict verdict = RAIND_V_DENY;
    raind_reason reason = RAIND_R_NONE;
    RuleId rule = 0;
    std::uint32_t match_class = 0;  // what matched on the side that is not the container's own

    bool denied() const { return verdict == RAIND_V_DENY; }
};

// Owns a copy of what it needs from the set. Any thread, once built.
class VerdictTable {
  public:
    explicit VerdictTable(const CompiledSet& set);

    Verdict judge(const Question& question) const;
    // Classes of one side, most specific first; empty: nothing is permitted.
    std::vector<std::uint32_t> chain(IdentityId identity, const IpAddress& address) const;
    std::uint64_t revision() const { return revision_; }

  private:
    using Key = std::tuple<std::uint32_t, std::uint32_t, std::uint16_t, std::uint8_t>;

    const CompiledRule* best_rule(const Question& question, const std::vector<std::uint32_t>& from,
                                  const std::vector<std::uint32_t>& to) const;
    Verdict predefined(const Question& question) const;

    std::map<Key, CompiledRule> rules_;
    std::map<IdentityId, std::vector<std::uint32_t>> identities_;
    std::vector<CompiledPrefix> prefixes_;
    std::vector<CompiledMask> masks_;
    std::uint64_t revision_ = 0;
    NsMode mode_ = NsMode::Enforce;
    bool host_to_container_ = false;
};

bool is_host_class(IdentityId identity);  // HOST, GATEWAY, DNS
bool is_workload(IdentityId identity);

}  // namespace raind::core
