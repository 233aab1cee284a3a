// The compiled set against what the policies say in words: random policies, random questions.
#include <algorithm>
#include <cstdlib>
#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "tests/unit/core/random_policy.h"

using namespace raind;
using namespace raind::core;
using namespace raind::testing;

namespace {

bool protocol_matches(const PolicyRecord& policy, std::uint8_t protocol) {
    if (policy.protocol.empty())
        return true;
    if (policy.protocol == "tcp")
        return protocol == kProtoTcp;
    if (policy.protocol == "udp")
        return protocol == kProtoUdp;
    return protocol == kProtoIcmp || protocol == kProtoIcmp6;
}

// The policies in force that speak about the question, read as a person would.
std::vector<const PolicyRecord*> speaking(const RandomPolicy& random, const RandomQuestion& asked) {
    std::vector<const PolicyRecord*> result;
    const PolicyChain north_south = random.state().mode == NsMode::Observe
                                        ? PolicyChain::NorthSouthObserve
                                        : PolicyChain::NorthSouthEnforce;
    for (const PolicyRecord& policy : random.state().committed) {
        const bool east_west = asked.destination >= 0;
        if (policy.chain != (east_west ? PolicyChain::EastWest : north_south) ||
            policy.source != RandomPolicy::name(asked.source) ||
            !protocol_matches(policy, asked.protocol) ||
            (policy.dport != 0 && policy.dport != asked.port))
            continue;
        if (east_west ? policy.destination_name == RandomPolicy::name(asked.destination)
                      : policy.destination_cidr->is_v4() == asked.address.is_v4() &&
                            policy.destination_cidr->contains(asked.address))
            result.push_back(&policy);
    }
    return result;
}

Question to_question(const RandomQuestion& asked) {
    Question question;
    question.source = 256 + static_cast<IdentityId>(asked.source);
    question.destination = asked.destination >= 0 ? 256 + static_cast<IdentityId>(asked.destination)
                                                  : IdentityId{RAIND_ID_WORLD};
    question.destination_address = asked.address;
    question.protocol = asked.protocol;
    question.port = asked.port;
    return question;
}

// Of two matching policies: port before protocol before the longer prefix.
std::tuple<bool, bool, unsigned> weight(const PolicyRecord& policy) {
    return {policy.dport != 0, !policy.protocol.empty(),
            policy.destination_cidr ? policy.destination_cidr->length() : 0};
}

// Look-ups as the programs make them, with the hints; their number.
unsigned look_ups(const CompiledSet& set, const VerdictTable& table, const Question& question,
                  RuleId& found) {
    unsigned count = 0;
    std::uint32_t best = 0;
    found = 0;
    for (const CompiledMask& mask : set.masks)
        for (std::uint32_t from : table.chain(question.source, {}))
            for (std::uint32_t to :
                 table.chain(question.destination, question.destination_address)) {
                if ((class_kind(from) & mask.kinds) == 0 || (class_kind(to) & mask.kinds) == 0)
                    continue;
                ++count;
                for (const CompiledRule& rule : set.rules)
                    if (rule.source == from && rule.destination == to &&
                        rule.port == (question.port & mask.port_mask) &&
                        rule.protocol == (mask.proto_any ? 0 : question.protocol) &&
                        rule.precedence >= best) {
                        best = rule.precedence;
                        found = rule.rule;
                    }
            }
    return count;
}

std::uint64_t first_seed() {
    const char* given = std::getenv("RAIND_TEST_SEED");
    return given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
}

}  // namespace

TEST_CASE("the compiled set says what the policies say") {
    const std::uint64_t seed = first_seed();
    unsigned by_policy = 0;
    unsigned allowed = 0;
    constexpr unsigned kSets = 300;
    constexpr unsigned kQuestions = 100;
    for (unsigned n = 0; n < kSets; ++n) {
        INFO("RAIND_TEST_SEED=" << seed + n);
        RandomPolicy random(seed + n);
        const CompiledSet set = compile(random.state(), random.identities()).value();
        REQUIRE(set.warnings.empty());
        const VerdictTable table(set);
        for (unsigned q = 0; q < kQuestions; ++q) {
            const RandomQuestion asked = random.question();
            const auto speak = speaking(random, asked);
            const Question question = to_question(asked);
            const Verdict verdict = table.judge(question);
            const bool observe = random.state().mode == NsMode::Observe;
            const bool expected = asked.destination >= 0 ? !speak.empty()
                                  : observe              ? speak.empty()
                                                         : !speak.empty();
            REQUIRE(verdict.denied() != expected);
            REQUIRE((verdict.reason == RAIND_R_POLICY) == !speak.empty());
            RuleId hinted = 0;
            REQUIRE(look_ups(set, table, question, hinted) <= set.max_probes);
            REQUIRE(hinted == (speak.empty() ? 0 : verdict.rule));
            if (!speak.empty()) {
                const auto named = std::ranges::find(speak, verdict.rule, &PolicyRecord::rule);
                REQUIRE(named != speak.end());
                for (const PolicyRecord* other : speak)
                    REQUIRE(weight(**named) >= weight(*other));
                ++by_policy;
            }
            allowed += expected ? 1 : 0;
        }
    }
    // Both sides of every question must have come up, or the test says nothing.
    CHECK(by_policy > kSets * kQuestions / 10);
    CHECK(allowed > kSets * kQuestions / 10);
    CHECK(allowed < kSets * kQuestions * 9 / 10);
}
