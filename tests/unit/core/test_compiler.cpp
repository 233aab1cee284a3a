#include <algorithm>
#include <doctest/doctest.h>

#include "userspace/core/compiler.h"
#include "userspace/core/policy.h"

using namespace raind;
using namespace raind::core;

namespace {

const IdentityMap kNames{{"web", 256}, {"db", 257}, {"cache", 258}};

struct Draft {
    PolicyState state;
    int count = 0;

    Draft& add(const char* chain, const char* source, const char* destination,
               const char* protocol = "", int dport = 0) {
        PolicyRecord policy =
            make_policy({chain, source, destination, protocol, dport, "comment"}).value();
        policy.id = "p" + std::to_string(++count);
        REQUIRE(stage_add(state, policy).has_value());
        return *this;
    }
    Draft& commit() {
        state = core::commit(state, [](std::string_view) { return true; }).value();
        return *this;
    }
    Draft& mode(NsMode mode) {
        REQUIRE(stage_mode(state, mode).has_value());
        return *this;
    }
    CompiledSet compiled() const { return compile(state, kNames).value(); }
};

const CompiledRule* entry(const CompiledSet& set, std::uint32_t source, std::uint32_t destination,
                          std::uint8_t protocol, std::uint16_t port) {
    const auto it = std::ranges::find_if(set.rules, [&](const CompiledRule& r) {
        return r.source == source && r.destination == destination && r.protocol == protocol &&
               r.port == port;
    });
    return it == set.rules.end() ? nullptr : &*it;
}

}  // namespace

TEST_CASE("an east-west policy becomes one allow entry, one direction") {
    const CompiledSet set = Draft().add("RAIND-EW", "web", "db", "tcp", 8080).commit().compiled();
    REQUIRE(set.rules.size() == 1);
    const CompiledRule* found = entry(set, 256, 257, 6, 8080);
    REQUIRE(found != nullptr);
    CHECK(found->action == RuleAction::Allow);
    CHECK(found->rule == 256);
    CHECK(entry(set, 257, 256, 6, 8080) == nullptr);
    CHECK(set.revision == 1);
    CHECK(set.masks.size() == 1);
    CHECK(find_rule(set, 256)->policy_id == "p1");
}

TEST_CASE("icmp between containers covers both families, to an address its own") {
    const CompiledSet ew = Draft().add("RAIND-EW", "web", "db", "icmp").commit().compiled();
    CHECK(ew.rules.size() == 2);
    CHECK(entry(ew, 256, 257, 1, 0) != nullptr);
    CHECK(entry(ew, 256, 257, 58, 0) != nullptr);
    const CompiledSet ns = Draft()
                               .add("RAIND-NS-OBS", "web", "192.0.2.0/24", "icmp")
                               .add("RAIND-NS-OBS", "web", "2001:db8::/32", "icmp")
                               .commit()
                               .compiled();
    REQUIRE(ns.rules.size() == 2);
    CHECK(entry(ns, 256, RAIND_ID_CIDR | 256, 1, 0) != nullptr);
    CHECK(entry(ns, 256, RAIND_ID_CIDR | 257, 58, 0) != nullptr);
}

TEST_CASE("no protocol is protocol 0, a mask of its own") {
    const CompiledSet set = Draft().add("RAIND-EW", "web", "db").commit().compiled();
    CHECK(entry(set, 256, 257, 0, 0) != nullptr);
    REQUIRE(set.masks.size() == 1);
    CHECK(set.masks[0].proto_any);
    CHECK(set.masks[0].port_mask == 0);
}

TEST_CASE("only the north-south list of the mode is in force") {
    Draft draft;
    draft.add("RAIND-NS-OBS", "web", "192.0.2.1", "tcp", 25)
        .add("RAIND-NS-ENF", "web", "192.0.2.2", "tcp", 443)
        .commit();
    const CompiledSet observe = draft.compiled();
    REQUIRE(observe.rules.size() == 1);
    CHECK(observe.rules[0].action == RuleAction::Deny);
    CHECK(observe.rules[0].port == 25);
    CHECK(observe.mode == NsMode::Observe);
    const CompiledSet enforce = draft.mode(NsMode::Enforce).commit().compiled();
    REQUIRE(enforce.rules.size() == 1);
    CHECK(enforce.rules[0].action == RuleAction::Allow);
    CHECK(enforce.rules[0].port == 443);
    CHECK(enforce.digest != observe.digest);
    CHECK(find_rule(enforce, 256)->policy_id == "p1");
}

TEST_CASE("staged policies are not compiled, removed ones are until the commit") {
    Draft draft;
    draft.add("RAIND-EW", "web", "db").commit();
    const CompiledSet before = draft.compiled();
    draft.add("RAIND-EW", "db", "web");
    REQUIRE(stage_remove(draft.state, "p1").has_value());
    const CompiledSet staged = draft.compiled();
    CHECK(staged.rules.size() == 1);
    CHECK(staged.digest == before.digest);
    const CompiledSet after = draft.commit().compiled();
    CHECK(entry(after, 256, 257, 0, 0) == nullptr);
    CHECK(entry(after, 257, 256, 0, 0) != nullptr);
}

TEST_CASE("a policy whose container is missing is compiled: the rule stands before the container") {
    Draft draft;
    draft.add("RAIND-EW", "web", "db");
    draft.state = commit(draft.state, [](std::string_view) { return false; }).value();
    CHECK(draft.state.policies[0].status == PolicyStatus::Unresolved);
    CHECK(draft.compiled().rules.size() == 1);
}

TEST_CASE("a name without an identity is an error, never identity 0") {
    Draft draft;
    draft.add("RAIND-EW", "web", "stranger").commit();
    const auto missing = compile(draft.state, kNames);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().message().find("stranger has no identity number") != std::string::npos);
    IdentityMap reserved = kNames;
    reserved["stranger"] = RAIND_ID_ANY;
    CHECK_FALSE(compile(draft.state, reserved).has_value());
}

TEST_CASE("every identity has the chain itself, CONTAINERS, ANY and its name") {
    const CompiledSet set = Draft().compiled();
    REQUIRE(set.identities.size() == 3);
    CHECK(set.identities[1].identity == 257);
    CHECK(set.identities[1].name == "db");
    CHECK(set.identities[1].chain ==
          std::vector<std::uint32_t>{257, RAIND_ID_CONTAINERS, RAIND_ID_ANY});
    CHECK(set.rules.empty());
    CHECK(set.masks.empty());
    CHECK(set.max_probes == 0);
}

TEST_CASE("the digest is over names: order and numbers do not matter, content does") {
    const auto digest = [](bool swap, const IdentityMap& names, int port) {
        Draft draft;
        draft.add("RAIND-EW", "web", "db", "tcp", port).add("RAIND-NS-OBS", "web", "10.0.0.0/8");
        draft.commit();
        if (swap) {
            std::ranges::reverse(draft.state.committed);
            for (PolicyRecord& policy : draft.state.committed)
                policy.rule += 1000;
        }
        return compile(draft.state, names)->digest;
    };
    const IdentityMap other{{"db", 900}, {"web", 901}};
    CHECK(digest(false, kNames, 80) == digest(true, other, 80));
    CHECK(digest(false, kNames, 80) != digest(false, kNames, 81));
    Draft draft;
    draft.add("RAIND-EW", "web", "db", "icmp").commit();
    CHECK(canonical_text(draft.state, true) ==
          "raind policy 1\neast-west deny\nnorth-south observe\nhost-to-container allow\n"
          "p1 east-west allow web db icmp 0\n");
    CHECK(compile(draft.state, kNames, true)->digest !=
          compile(draft.state, kNames, false)->digest);
}

TEST_CASE("the order of policies does not change the compiled set") {
    Draft draft;
    draft.add("RAIND-EW", "web", "db", "tcp", 80)
        .add("RAIND-EW", "cache", "db")
        .add("RAIND-NS-OBS", "web", "10.0.0.0/8")
        .add("RAIND-NS-OBS", "db", "10.1.0.0/16", "udp", 53)
        .commit();
    const CompiledSet first = draft.compiled();
    std::ranges::reverse(draft.state.committed);
    const CompiledSet second = draft.compiled();
    REQUIRE(first.rules.size() == second.rules.size());
    for (std::size_t i = 0; i < first.rules.size(); ++i) {
        CHECK(first.rules[i].rule == second.rules[i].rule);
        CHECK(first.rules[i].precedence == second.rules[i].precedence);
        CHECK(first.rules[i].destination == second.rules[i].destination);
    }
    CHECK(first.prefixes.size() == second.prefixes.size());
}

TEST_CASE("policies with one prefix share its class, and its number stays") {
    Draft draft;
    draft.add("RAIND-NS-OBS", "web", "10.0.0.0/8", "tcp", 25)
        .add("RAIND-NS-OBS", "db", "10.0.0.0/8")
        .add("RAIND-NS-OBS", "db", "10.1.0.0/16", "tcp", 1)
        .commit();
    const CompiledSet set = draft.compiled();
    CHECK(set.prefixes.size() == 2);
    CHECK(entry(set, 256, RAIND_ID_CIDR | 256, 6, 25) != nullptr);
    CHECK(entry(set, 257, RAIND_ID_CIDR | 256, 0, 0) != nullptr);
    CHECK(entry(set, 257, RAIND_ID_CIDR | 258, 6, 1) != nullptr);
}

TEST_CASE("the rule table names the predefined rules and the users'") {
    const CompiledSet set = Draft().add("RAIND-NS-OBS", "web", "192.0.2.1").commit().compiled();
    CHECK(find_rule(set, RAIND_RULE_EW_DEFAULT)->action == RuleAction::Deny);
    CHECK(find_rule(set, RAIND_RULE_NS_OBSERVE)->chain == PolicyChain::NorthSouthObserve);
    CHECK(find_rule(set, RAIND_RULE_CTR_TO_HOST)->policy_id.empty());
    CHECK(find_rule(set, 256)->action == RuleAction::Deny);
    CHECK(find_rule(set, 999) == nullptr);
}

TEST_CASE("a refusal names policies as their users know them") {
    Draft draft;
    for (int length = 8; length < 15; ++length)
        draft.add("RAIND-NS-OBS", "web", ("10.0.0.0/" + std::to_string(length)).c_str());
    draft.commit();
    const auto refused = compile(draft.state, kNames);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().message().find("policy p7 (web -> 10.0.0.0/14)") != std::string::npos);
}
