#include <doctest/doctest.h>

#include "userspace/bpf/convert.h"
#include "userspace/bpf/slot_content.h"

using namespace raind;
using namespace raind::bpf;

namespace {

core::CompiledSet small_set() {
    core::CompiledSet set;
    set.revision = 9;
    set.mode = core::NsMode::Enforce;
    set.rules.push_back({.source = 300,
                         .destination = 301,
                         .port = 8080,
                         .protocol = 6,
                         .rule = 256,
                         .precedence = 5,
                         .action = core::RuleAction::Allow});
    set.identities.push_back({300, {300, RAIND_ID_CONTAINERS, RAIND_ID_ANY}});
    set.prefixes.push_back({*Cidr::parse("10.0.0.0/8"), {RAIND_ID_CIDR, RAIND_ID_WORLD}});
    set.masks.push_back({0xffff, false, RAIND_KIND_WORKLOAD});
    set.digest.fill(7);
    return set;
}

}  // namespace

TEST_CASE("a set becomes keys and values") {
    const Result<SlotContent> content = content_of(small_set());
    REQUIRE(content.has_value());
    raind_polkey key{};
    key.src = 300;
    key.dst = 301;
    key.port = 8080;
    key.proto = 6;
    REQUIRE(content->policy.contains(key_bytes(key)));
    CHECK(content->policy.at(key_bytes(key)).rule == 256);
    CHECK(content->policy.at(key_bytes(key)).action == RAIND_ACT_ALLOW);
    CHECK(content->ident.at(key_bytes(std::uint32_t{300})).chain.n == 3);
    CHECK(content->cidr.size() == 1);
}

TEST_CASE("a prefix of IPv4 is not one of IPv6") {
    const raind_prefix four = to_abi(*Cidr::parse("10.0.0.0/8"));
    CHECK(four.family == 4);
    CHECK(four.prefixlen == 8 + 96 + 8);
    const raind_prefix all = to_abi(*Cidr::parse("0.0.0.0/0"));
    CHECK(all.prefixlen == 8 + 96);
    const raind_prefix six = to_abi(*Cidr::parse("::/0"));
    CHECK(six.family == 6);
    CHECK(six.prefixlen == 8);
}

TEST_CASE("what does not fit is refused") {
    core::CompiledSet set = small_set();
    set.identities.front().chain.assign(RAIND_MAX_CHAIN + 1, RAIND_ID_ANY);
    CHECK(content_of(set).error().code() == Errc::TooLarge);
    set = small_set();
    set.prefixes.front().chain.clear();
    CHECK(content_of(set).error().code() == Errc::TooLarge);
    set = small_set();
    set.rules.push_back(set.rules.front());
    CHECK(content_of(set).error().code() == Errc::Internal);
    set = small_set();
    set.masks.assign(RAIND_MAX_MASKS + 1, {});
    CHECK(describe_generation(set).error().code() == Errc::TooLarge);
}

TEST_CASE("the description of a generation") {
    const Result<raind_gen> gen = describe_generation(small_set());
    REQUIRE(gen.has_value());
    CHECK(gen->revision == 9);
    CHECK(gen->default_ns == RAIND_MODE_ENFORCE);
    CHECK(gen->default_ew == RAIND_MODE_ENFORCE);
    CHECK(gen->nmask == 1);
    CHECK(gen->masks[0].portmask == 0xffff);
    CHECK(gen->digest[31] == 7);
    core::CompiledSet set = small_set();
    set.mode = core::NsMode::Observe;
    set.host_to_container = false;
    const Result<raind_gen> other = describe_generation(set);
    REQUIRE(other.has_value());
    CHECK(other->default_ns == RAIND_MODE_OBSERVE);
    CHECK(other->host_to_container == 0);
}
