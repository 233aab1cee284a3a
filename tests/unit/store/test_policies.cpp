#include "tests/unit/store/fixture.h"
#include "userspace/store/policies.h"

using namespace raind;
using namespace raind::store;
using test::Fixture;

namespace {

std::vector<std::string> ids(const std::vector<core::PolicyRecord>& policies) {
    std::vector<std::string> out;
    for (const auto& policy : policies)
        out.push_back(policy.id.substr(policy.id.size() - 2));
    return out;
}

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("a fresh store observes, at revision 0, without policies") {
    Fixture f;
    const auto state = *f.store->policies().load();
    CHECK(state.revision == 0);
    CHECK(state.mode == core::NsMode::Observe);
    CHECK_FALSE(state.staged_mode.has_value());
    CHECK(state.next_rule == 256);
    CHECK(state.policies.empty());
    CHECK(state.committed.empty());
}

TEST_CASE("the whole state comes back") {
    Fixture f;
    core::PolicyState in;
    in.revision = 12;
    in.mode = core::NsMode::Enforce;
    in.staged_mode = core::NsMode::Observe;
    in.next_rule = 300;
    core::PolicyRecord north = test::policy(2);
    north.chain = core::PolicyChain::NorthSouthObserve;
    north.status = core::PolicyStatus::Unresolved;
    north.reason = "container: x not found";
    north.destination_name.clear();
    north.destination_cidr = Cidr::parse("198.51.100.20").value();
    north.comment = "no mail";
    north.rule = 257;
    in.policies = {test::policy(1), north};
    in.committed = {north};
    REQUIRE(f.store->policies().save(in).has_value());
    f.open();
    const auto out = *f.store->policies().load();
    CHECK(out.revision == 12);
    CHECK(out.mode == core::NsMode::Enforce);
    CHECK(out.staged_mode == core::NsMode::Observe);
    CHECK(out.next_rule == 300);
    REQUIRE(out.policies.size() == 2);
    REQUIRE(out.committed.size() == 1);
    const auto& got = out.policies[1];
    CHECK(got.id == north.id);
    CHECK(got.chain == north.chain);
    CHECK(got.status == north.status);
    CHECK(got.reason == north.reason);
    CHECK(got.source == "web");
    CHECK(got.destination_name.empty());
    CHECK(got.destination_cidr == north.destination_cidr);
    CHECK(got.protocol == "tcp");
    CHECK(got.dport == 8080);
    CHECK(got.comment == "no mail");
    CHECK(got.rule == 257);
    CHECK(got.created_at == north.created_at);
    CHECK_FALSE(out.policies[0].destination_cidr.has_value());
}

TEST_CASE("any zone of the internet is a prefix of its own") {
    Fixture f;
    core::PolicyRecord all4 = test::policy(1);
    all4.destination_cidr = Cidr::parse("0.0.0.0/0").value();
    core::PolicyRecord all6 = test::policy(2);
    all6.destination_cidr = Cidr::parse("::/0").value();
    REQUIRE(f.store->policies().put_staged(all4).has_value());
    REQUIRE(f.store->policies().put_staged(all6).has_value());
    const auto out = *f.store->policies().load();
    CHECK(out.policies[0].destination_cidr == all4.destination_cidr);
    CHECK(out.policies[1].destination_cidr == all6.destination_cidr);
}

TEST_CASE("save keeps the order through additions, removals and moves") {
    Fixture f;
    auto& policies = f.store->policies();
    core::PolicyState state;
    const auto save = [&](std::vector<int> numbers) {
        state.policies.clear();
        for (const int number : numbers)
            state.policies.push_back(test::policy(number));
        REQUIRE(policies.save(state).has_value());
        return ids(policies.load()->policies);
    };
    CHECK(save({1, 2, 3}) == Ids{"01", "02", "03"});
    CHECK(save({1, 3}) == Ids{"01", "03"});
    CHECK(save({1, 3, 4}) == Ids{"01", "03", "04"});
    CHECK(save({5, 1, 3, 4}) == Ids{"05", "01", "03", "04"});
    CHECK(save({4, 3, 1}) == Ids{"04", "03", "01"});
    CHECK(save({}).empty());
}

TEST_CASE("small changes touch only the staged view") {
    Fixture f;
    auto& policies = f.store->policies();
    core::PolicyState state;
    state.policies = {test::policy(1)};
    state.committed = {test::policy(1)};
    REQUIRE(policies.save(state).has_value());
    REQUIRE(policies.put_staged(test::policy(2)).has_value());
    core::PolicyRecord marked = test::policy(1);
    marked.status = core::PolicyStatus::RemoveNextCommit;
    REQUIRE(policies.put_staged(marked).has_value());
    REQUIRE(policies.set_staged_mode(core::NsMode::Enforce).has_value());
    auto out = *policies.load();
    CHECK(ids(out.policies) == Ids{"01", "02"});
    CHECK(out.policies[0].status == core::PolicyStatus::RemoveNextCommit);
    CHECK(out.committed[0].status == core::PolicyStatus::BeforeCommit);
    CHECK(out.staged_mode == core::NsMode::Enforce);
    REQUIRE(policies.erase_staged(test::policy(1).id).has_value());
    REQUIRE(policies.set_staged_mode(std::nullopt).has_value());
    out = *policies.load();
    CHECK(ids(out.policies) == Ids{"02"});
    CHECK(ids(out.committed) == Ids{"01"});
    CHECK_FALSE(out.staged_mode.has_value());
}
