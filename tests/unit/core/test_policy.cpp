#include <doctest/doctest.h>
#include <set>

#include "userspace/core/policy.h"

using namespace raind;
using namespace raind::core;

namespace {

ContainerExists existing(std::set<std::string, std::less<>> names) {
    return [names = std::move(names)](std::string_view name) { return names.contains(name); };
}

PolicyRecord ew(std::string id, std::string source, std::string destination,
                std::string protocol = "tcp", std::int64_t dport = 80) {
    PolicyRecord policy = make_policy({.chain = "RAIND-EW",
                                       .source = std::move(source),
                                       .dest = std::move(destination),
                                       .protocol = std::move(protocol),
                                       .dport = dport,
                                       .comment = ""})
                              .value();
    policy.id = std::move(id);
    return policy;
}

std::string refusal(const api::AddPolicyRequest& request) {
    const auto policy = make_policy(request);
    REQUIRE_FALSE(policy.has_value());
    CHECK(policy.error().code() == Errc::InvalidArgument);
    return policy.error().message();
}

const PolicyRecord& only(const PolicyState& state) {
    REQUIRE(state.policies.size() == 1);
    return state.policies.front();
}

}  // namespace

TEST_CASE("policy requests: accepted forms") {
    const auto any = make_policy({"RAIND-EW", "web", "db", "", 0, "why"}).value();
    CHECK(any.chain == PolicyChain::EastWest);
    CHECK(any.destination_name == "db");
    CHECK_FALSE(any.destination_cidr.has_value());
    CHECK(any.comment == "why");
    CHECK(make_policy({"RAIND-EW", "web", "db", "icmp", 0, ""}).has_value());
    CHECK(make_policy({"RAIND-EW", "web", "db", "udp", 65535, ""}).value().dport == 65535);
    const auto v4 = make_policy({"RAIND-NS-OBS", "web", "198.51.100.20", "tcp", 25, ""}).value();
    CHECK(v4.destination_cidr->length() == 32);
    CHECK(v4.destination_name.empty());
    const auto v6 = make_policy({"RAIND-NS-ENF", "web", "2001:db8::/32", "", 0, ""}).value();
    CHECK_FALSE(v6.destination_cidr->is_v4());
    const auto host_bits = make_policy({"RAIND-NS-ENF", "web", "10.1.2.3/8", "", 0, ""}).value();
    CHECK(destination_text(host_bits) == "10.0.0.0/8");
    CHECK(destination_text(v4) == "198.51.100.20");
    CHECK(destination_text(v6) == "2001:db8::/32");
    CHECK(destination_text(any) == "db");
}

TEST_CASE("policy requests: each wrong input has one clear error") {
    CHECK(refusal({"RAIND-XX", "web", "db", "", 0, ""}) == "Chain: RAIND-XX is invalid");
    CHECK(refusal({"RAIND-EW", "web", "db", "tcp", 70000, ""}) ==
          "invalid destination port: 70000. expect: 0 to 65535");
    CHECK(refusal({"RAIND-EW", "web", "db", "tcp", -1, ""}) ==
          "invalid destination port: -1. expect: 0 to 65535");
    CHECK(refusal({"RAIND-EW", "web", "db", "", 8080, ""}) ==
          "destination port 8080 needs a protocol: tcp or udp");
    CHECK(refusal({"RAIND-EW", "web", "db", "icmp", 8, ""}) ==
          "destination port 8 needs protocol tcp or udp, not icmp");
    CHECK(refusal({"RAIND-EW", "web", "db", "sctp", 0, ""}) ==
          "invalid protocol: sctp. expect: tcp|udp|icmp");
    CHECK(refusal({"RAIND-EW", "web", "db", "TCP", 0, ""}).starts_with("invalid protocol: TCP"));
    CHECK(refusal({"RAIND-EW", "", "db", "", 0, ""}) == "source: container name is empty");
    CHECK(
        refusal({"RAIND-EW", "web", "a/b", "", 0, ""}).starts_with("destination: container name"));
    CHECK(refusal({"RAIND-EW", "w\x1b[2J", "db", "", 0, ""}).find('\x1b') == std::string::npos);
    CHECK(refusal({"RAIND-NS-OBS", "web", "db", "", 0, ""}) ==
          "north-south destination must be an IP address or CIDR: db");
    CHECK(refusal({"RAIND-NS-ENF", "web", "10.0.0.0/33", "", 0, ""})
              .starts_with("north-south destination"));
    CHECK(refusal({"RAIND-NS-ENF", "web", "::ffff:1.2.3.4", "", 0, ""}) ==
          "write the IPv4 address itself, not ::ffff:1.2.3.4");
    CHECK(refusal({"RAIND-EW", "web", "db", "", 0, "two\nlines"}).starts_with("comment contains"));
    CHECK(refusal({"RAIND-EW", "web", "db", "", 0, std::string(257, 'x')})
              .starts_with("comment has 257"));
}

TEST_CASE("words of the contract go both ways") {
    for (const char* name : {"RAIND-EW", "RAIND-NS-OBS", "RAIND-NS-ENF"})
        CHECK(chain_name(parse_chain(name).value()) == name);
    for (const char* name : {"before_commit", "applied", "remove_next_commit", "unresolved"})
        CHECK(status_name(parse_status(name).value()) == name);
    CHECK(parse_mode("audit").error().message() == "invalid mode: audit. expect: observe|enforce");
}

TEST_CASE("add is staged, commit applies it, nothing before") {
    PolicyState state;
    REQUIRE(stage_add(state, ew("p1", "web", "db")).has_value());
    CHECK(only(state).status == PolicyStatus::BeforeCommit);
    CHECK(state.committed.empty());
    const PolicyState after = commit(state, existing({"web", "db"})).value();
    CHECK(only(after).status == PolicyStatus::Applied);
    CHECK(after.committed.size() == 1);
    CHECK(after.revision == 1);
    CHECK(only(after).rule == 256);
    CHECK(state.revision == 0);
}

TEST_CASE("a missing container makes a committed policy unresolved, its creation applied") {
    PolicyState state;
    REQUIRE(stage_add(state, ew("p1", "web", "db")).has_value());
    state = commit(state, existing({"web"})).value();
    CHECK(only(state).status == PolicyStatus::Unresolved);
    CHECK(only(state).reason == "container: db not found");
    CHECK(resolve(state, existing({"web", "db"})));
    CHECK(only(state).status == PolicyStatus::Applied);
    CHECK(only(state).reason.empty());
    CHECK_FALSE(resolve(state, existing({"web", "db"})));
    CHECK(resolve(state, existing({"db"})));
    CHECK(only(state).reason == "container: web not found");
    CHECK(state.committed.front().status == PolicyStatus::Unresolved);
    CHECK(state.revision == 1);
}

TEST_CASE("containers that come and go do not touch what is staged") {
    PolicyState state;
    REQUIRE(stage_add(state, ew("p1", "web", "db")).has_value());
    state = commit(state, existing({"web", "db"})).value();
    REQUIRE(stage_remove(state, "p1").has_value());
    REQUIRE(stage_add(state, ew("p2", "a", "b")).has_value());
    resolve(state, existing({}));
    CHECK(state.policies[0].status == PolicyStatus::RemoveNextCommit);
    CHECK(state.policies[0].reason == "user operation");
    CHECK(state.policies[1].status == PolicyStatus::BeforeCommit);
    CHECK(state.committed[0].status == PolicyStatus::Unresolved);
}

TEST_CASE("rm keeps the policy in force until commit") {
    PolicyState state;
    REQUIRE(stage_add(state, ew("p1", "web", "db")).has_value());
    state = commit(state, existing({"web", "db"})).value();
    REQUIRE(stage_remove(state, "p1").has_value());
    CHECK(only(state).reason == "user operation");
    CHECK(state.committed.size() == 1);
    REQUIRE(stage_remove(state, "p1").has_value());
    const PolicyState after = commit(state, existing({"web", "db"})).value();
    CHECK(after.policies.empty());
    CHECK(after.committed.empty());
    CHECK(after.revision == 2);
}

TEST_CASE("rm of a policy that was never committed, and of an unknown one") {
    PolicyState state;
    REQUIRE(stage_add(state, ew("p1", "web", "db")).has_value());
    CHECK(stage_remove(state, "p1").has_value());
    CHECK(state.policies.empty());
    const auto unknown = stage_remove(state, "p1");
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error().code() == Errc::NotFound);
    CHECK(unknown.error().message() == "ID: p1 not found");
}

TEST_CASE("revert drops additions, removals and the mode, and resolves anew") {
    PolicyState state;
    REQUIRE(stage_add(state, ew("p1", "web", "db")).has_value());
    state = commit(state, existing({"web", "db"})).value();
    const PolicyState before = state;
    REQUIRE(stage_remove(state, "p1").has_value());
    REQUIRE(stage_add(state, ew("p2", "web", "cache")).has_value());
    REQUIRE(stage_mode(state, NsMode::Enforce).has_value());
    revert(state, existing({"web"}));
    CHECK(only(state).id == "p1");
    CHECK(only(state).status == PolicyStatus::Unresolved);
    CHECK(only(state).rule == before.policies[0].rule);
    CHECK_FALSE(state.staged_mode.has_value());
    CHECK(state.revision == 1);
    CHECK(state.mode == NsMode::Observe);
}

TEST_CASE("the same policy twice is refused, unless the first is on its way out") {
    PolicyState state;
    REQUIRE(stage_add(state, ew("p1", "web", "db")).has_value());
    const auto twice = stage_add(state, ew("p2", "web", "db"));
    REQUIRE_FALSE(twice.has_value());
    CHECK(twice.error().code() == Errc::AlreadyExists);
    CHECK(twice.error().message() == "policy p1 says the same already");
    CHECK(stage_add(state, ew("p3", "db", "web")).has_value());
    CHECK(stage_add(state, ew("p4", "web", "db", "udp")).has_value());
    CHECK(stage_add(state, ew("p5", "web", "db", "tcp", 81)).has_value());
    state = commit(state, existing({})).value();
    REQUIRE(stage_remove(state, "p1").has_value());
    CHECK(stage_add(state, ew("p6", "web", "db")).has_value());
    CHECK_FALSE(stage_add(state, ew("p4", "x", "y")).has_value());
}

TEST_CASE("modes are staged, taken back, and refused when they change nothing") {
    PolicyState state;
    CHECK(listed_mode(state, PolicyChain::EastWest) == "deny_by_default");
    CHECK(listed_mode(state, PolicyChain::NorthSouthObserve) == "observe");
    CHECK(stage_mode(state, NsMode::Observe).error().message() ==
          "NS Mode already set in: observe");
    REQUIRE(stage_mode(state, NsMode::Enforce).has_value());
    CHECK(state.mode == NsMode::Observe);
    CHECK(listed_mode(state, PolicyChain::NorthSouthEnforce) == "enforce_next_commit");
    CHECK(stage_mode(state, NsMode::Enforce).error().message() ==
          "NS Mode already set in: enforce");
    REQUIRE(stage_mode(state, NsMode::Observe).has_value());
    CHECK_FALSE(state.staged_mode.has_value());
    REQUIRE(stage_mode(state, NsMode::Enforce).has_value());
    state = commit(state, existing({})).value();
    CHECK(state.mode == NsMode::Enforce);
    CHECK(listed_mode(state, PolicyChain::NorthSouthObserve) == "enforce");
}

TEST_CASE("a rule number stays with its policy and is never used again") {
    PolicyState state;
    REQUIRE(stage_add(state, ew("p1", "web", "db")).has_value());
    REQUIRE(stage_add(state, ew("p2", "web", "cache")).has_value());
    state = commit(state, existing({})).value();
    REQUIRE(stage_remove(state, "p1").has_value());
    REQUIRE(stage_add(state, ew("p3", "web", "db")).has_value());
    state = commit(state, existing({})).value();
    REQUIRE(state.policies.size() == 2);
    CHECK(state.policies[0].rule == 257);
    CHECK(state.policies[1].rule == 258);
    state.next_rule = 0x01000000;
    REQUIRE(stage_add(state, ew("p4", "a", "b")).has_value());
    CHECK(commit(state, existing({})).error().code() == Errc::Exhausted);
}

TEST_CASE("a north-south policy needs only its source") {
    PolicyState state;
    PolicyRecord policy = make_policy({"RAIND-NS-ENF", "web", "192.0.2.1", "", 0, ""}).value();
    policy.id = "p1";
    REQUIRE(stage_add(state, policy).has_value());
    state = commit(state, existing({"web"})).value();
    CHECK(only(state).status == PolicyStatus::Applied);
    CHECK(mentioned_names(state) == std::vector<std::string>{"web"});
}
