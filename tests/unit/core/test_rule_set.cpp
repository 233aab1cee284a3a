#include <algorithm>
#include <bit>
#include <doctest/doctest.h>

#include "userspace/core/rule_set.h"

using namespace raind;
using namespace raind::core;

namespace {

constexpr std::uint8_t kTcp = 6;

ClassRule rule(RuleId number, std::uint32_t source, std::uint32_t destination) {
    ClassRule result;
    result.rule = number;
    result.label = "r" + std::to_string(number);
    result.source = source;
    result.destination = destination;
    result.protocol = kTcp;
    return result;
}

PrefixClass prefix(std::uint32_t n, const char* text) {
    return {.prefix = Cidr::parse(text).value(), .number = RAIND_ID_CIDR | n};
}

const CompiledPrefix& find(const CompiledSet& set, const char* text) {
    const Cidr wanted = Cidr::parse(text).value();
    const auto it = std::ranges::find(set.prefixes, wanted, &CompiledPrefix::prefix);
    REQUIRE(it != set.prefixes.end());
    return *it;
}

std::vector<std::uint32_t> cidr_chain(std::initializer_list<std::uint32_t> numbers) {
    std::vector<std::uint32_t> chain;
    for (std::uint32_t n : numbers)
        chain.push_back(RAIND_ID_CIDR | n);
    chain.insert(chain.end(), {RAIND_ID_WORLD, RAIND_ID_ANY});
    return chain;
}

bool covers(const std::vector<PortBlock>& blocks, std::uint32_t port) {
    return std::ranges::count_if(blocks, [&](const PortBlock& block) {
               return (port & block.mask) == block.port;
           }) == 1;
}

}  // namespace

TEST_CASE("port ranges become the aligned blocks that cover exactly them") {
    CHECK(split_ports(0, 65535) == std::vector<PortBlock>{{0, 0}});
    CHECK(split_ports(80, 80) == std::vector<PortBlock>{{80, 0xffff}});
    CHECK(split_ports(8080, 8095) == std::vector<PortBlock>{{8080, 0xfff0}});
    CHECK(split_ports(0, 1) == std::vector<PortBlock>{{0, 0xfffe}});
    CHECK(split_ports(65535, 65535) == std::vector<PortBlock>{{65535, 0xffff}});
    CHECK(split_ports(1, 65534).size() == 30);
    for (const auto& [low, high] : std::vector<std::pair<std::uint16_t, std::uint16_t>>{
             {1, 65534}, {1000, 2000}, {32768, 60999}, {1024, 65535}, {7, 8}}) {
        const auto blocks = split_ports(low, high);
        CHECK(blocks.size() <= 30);
        for (std::uint32_t port = 0; port <= 65535; ++port)
            if (covers(blocks, port) != (port >= low && port <= high))
                FAIL(port);
    }
}

TEST_CASE("precedence: all pairs of priority, action and specificity") {
    struct Form {
        std::uint16_t priority;
        RuleAction action;
        bool exact_port;
    };
    std::vector<Form> forms;
    for (std::uint16_t priority : std::vector<std::uint16_t>{1, 500, 1023})
        for (RuleAction action : {RuleAction::Allow, RuleAction::Deny})
            for (bool exact : {false, true})
                forms.push_back({priority, action, exact});
    for (const Form& a : forms) {
        for (const Form& b : forms) {
            ClassRule first = rule(256, 300, 301);
            first.priority = a.priority;
            first.action = a.action;
            if (a.exact_port)
                first.port_low = first.port_high = 80;
            ClassRule second = rule(257, 300, 302);
            second.priority = b.priority;
            second.action = b.action;
            if (b.exact_port)
                second.port_low = second.port_high = 80;
            CompiledSet set;
            REQUIRE(build_rules(set, std::vector{first, second}, {}, {}).has_value());
            REQUIRE(set.rules.size() == 2);
            const auto pa = set.rules[0].precedence;
            const auto pb = set.rules[1].precedence;
            bool a_wins = false;
            if (a.priority != b.priority)
                a_wins = a.priority < b.priority;
            else if (a.action != b.action)
                a_wins = a.action == RuleAction::Deny;
            else
                a_wins = a.exact_port && !b.exact_port;
            CHECK((pa > pb) == a_wins);
        }
    }
}

TEST_CASE("precedence differs for every look-up that can match one packet") {
    // Every class of a container's chain against every class of a nested prefix's chain, every
    // protocol form and block size.
    std::vector<PrefixClass> prefixes{prefix(1, "10.0.0.0/8"), prefix(2, "10.1.0.0/16"),
                                      prefix(3, "10.1.1.0/24"), prefix(4, "10.1.1.1")};
    std::vector<ClassRule> rules;
    RuleId number = 256;
    for (std::uint32_t source :
         {300U, std::uint32_t{RAIND_ID_CONTAINERS}, std::uint32_t{RAIND_ID_ANY}})
        for (std::uint32_t destination :
             {RAIND_ID_CIDR | 1, RAIND_ID_CIDR | 2, RAIND_ID_CIDR | 3, RAIND_ID_CIDR | 4,
              std::uint32_t{RAIND_ID_WORLD}, std::uint32_t{RAIND_ID_ANY}})
            for (int form = 0; form < 4; ++form) {
                ClassRule r = rule(number++, source, destination);
                r.protocol = form == 0 ? 0 : kTcp;
                if (form == 2)
                    r.port_low = r.port_high = 81;
                if (form == 3)
                    r.port_low = 80, r.port_high = 81;
                rules.push_back(r);
            }
    CompiledSet set;
    CompileLimits limits;
    limits.probes = 1000;
    REQUIRE(build_rules(set, rules, prefixes, limits).has_value());
    std::vector<std::uint32_t> seen;
    for (const CompiledRule& entry : set.rules)
        seen.push_back(entry.precedence);
    CHECK(seen.size() == rules.size());
    std::ranges::sort(seen);
    CHECK(std::ranges::adjacent_find(seen) == seen.end());
}

TEST_CASE("prefix chains carry all enclosing classes, most specific first") {
    CompiledSet set;
    const std::vector prefixes{prefix(5, "10.1.2.0/24"), prefix(1, "10.0.0.0/8"),
                               prefix(3, "10.1.0.0/16"), prefix(4, "10.2.0.0/16"),
                               prefix(9, "192.0.2.1")};
    REQUIRE(build_rules(set, {}, prefixes, {}).has_value());
    CHECK(find(set, "10.1.2.0/24").chain == cidr_chain({5, 3, 1}));
    CHECK(find(set, "10.2.0.0/16").chain == cidr_chain({4, 1}));
    CHECK(find(set, "10.0.0.0/8").chain == cidr_chain({1}));
    CHECK(find(set, "192.0.2.1/32").chain == cidr_chain({9}));
}

TEST_CASE("IPv4 and IPv6 prefixes never cover each other") {
    CompiledSet set;
    const std::vector prefixes{prefix(1, "0.0.0.0/0"), prefix(2, "::/0"), prefix(3, "192.0.2.0/24"),
                               prefix(4, "2001:db8::/32")};
    REQUIRE(build_rules(set, {}, prefixes, {}).has_value());
    CHECK(find(set, "192.0.2.0/24").chain == cidr_chain({3, 1}));
    CHECK(find(set, "2001:db8::/32").chain == cidr_chain({4, 2}));
    CHECK(find(set, "0.0.0.0/0").chain == cidr_chain({1}));
}

TEST_CASE("six nested prefixes are possible, seven are refused by name") {
    std::vector<PrefixClass> prefixes;
    std::vector<ClassRule> rules;
    for (std::uint32_t n = 0; n < 7; ++n) {
        prefixes.push_back(prefix(n + 1, ("10.0.0.0/" + std::to_string(8 + n)).c_str()));
        rules.push_back(rule(256 + n, 300, RAIND_ID_CIDR | (n + 1)));
    }
    CompiledSet seven;
    const auto refused = build_rules(seven, rules, prefixes, {});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().message().find("nests 7 prefixes around 10.0.0.0/14") !=
          std::string::npos);
    CHECK(refused.error().message().find("r256") != std::string::npos);
    CHECK(refused.error().message().find("r262") != std::string::npos);
    prefixes.pop_back();
    rules.pop_back();
    CompiledSet six;
    CHECK(build_rules(six, rules, prefixes, {}).has_value());
}

TEST_CASE("masks: one per block size and protocol form, with the kinds that occur") {
    ClassRule exact = rule(256, 300, 301);
    exact.port_low = exact.port_high = 80;
    ClassRule all_tcp = rule(257, 300, RAIND_ID_CIDR | 1);
    ClassRule any = rule(258, RAIND_ID_CONTAINERS, 301);
    any.protocol = 0;
    CompiledSet set;
    REQUIRE(
        build_rules(set, std::vector{exact, all_tcp, any}, std::vector{prefix(1, "10.0.0.0/8")}, {})
            .has_value());
    REQUIRE(set.masks.size() == 3);
    CHECK(set.masks[0].port_mask == 0xffff);
    CHECK_FALSE(set.masks[0].proto_any);
    CHECK(set.masks[0].kinds == RAIND_KIND_WORKLOAD);
    CHECK(set.masks[1].port_mask == 0);
    CHECK(set.masks[1].proto_any);
    CHECK(set.masks[1].kinds == (RAIND_KIND_WORKLOAD | RAIND_KIND_GROUP));
    CHECK(set.masks[2].kinds == (RAIND_KIND_WORKLOAD | RAIND_KIND_PREFIX));
}

TEST_CASE("two rules with one key: one entry, the older or the denying one, and a warning") {
    CompiledSet set;
    REQUIRE(build_rules(set, std::vector{rule(300, 1000, 1001), rule(256, 1000, 1001)}, {}, {})
                .has_value());
    REQUIRE(set.rules.size() == 1);
    CHECK(set.rules[0].rule == 256);
    REQUIRE(set.warnings.size() == 1);
    CHECK(set.warnings[0] == "r300 has no effect: r256 matches the same");
    ClassRule deny = rule(301, 1000, 1001);
    deny.action = RuleAction::Deny;
    CompiledSet mixed;
    REQUIRE(build_rules(mixed, std::vector{rule(256, 1000, 1001), deny}, {}, {}).has_value());
    REQUIRE(mixed.rules.size() == 1);
    CHECK(mixed.rules[0].action == RuleAction::Deny);
}

TEST_CASE("ranges that the datapath's key cannot tell apart are refused, not widened") {
    ClassRule one = rule(256, 300, 301);
    one.port_low = one.port_high = 8080;
    ClassRule block = rule(257, 300, 301);
    block.port_low = 8080;
    block.port_high = 8095;
    CompiledSet set;
    const auto refused = build_rules(set, std::vector{one, block}, {}, {});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code() == Errc::Unsupported);
    CHECK(refused.error().message().find("r256") != std::string::npos);
    CHECK(refused.error().message().find("r257") != std::string::npos);
}

TEST_CASE("limits: entries, masks, look-ups") {
    std::vector<ClassRule> rules;
    for (std::uint32_t n = 0; n < 4; ++n)
        rules.push_back(rule(256 + n, 300 + n, 400));
    CompileLimits few;
    few.rules = 3;
    CompiledSet set;
    const auto entries = build_rules(set, rules, {}, few);
    REQUIRE_FALSE(entries.has_value());
    CHECK(entries.error().code() == Errc::Exhausted);
    CHECK(entries.error().message().find("has 4 entries, at most 3") != std::string::npos);
    CHECK(entries.error().message().find("r258") != std::string::npos);

    ClassRule wide = rule(256, 300, 400);
    wide.port_low = 1;
    wide.port_high = 65534;
    CompileLimits masks;
    masks.masks = 14;
    CompiledSet many;
    CHECK(build_rules(many, std::vector{wide}, {}, masks).error().message().find("block sizes") !=
          std::string::npos);

    CompileLimits probes;
    probes.probes = 5;
    std::vector<ClassRule> deep;
    std::vector<PrefixClass> prefixes;
    for (std::uint32_t n = 0; n < 6; ++n) {
        prefixes.push_back(prefix(n + 1, ("10.0.0.0/" + std::to_string(8 + n)).c_str()));
        deep.push_back(rule(256 + n, 300, RAIND_ID_CIDR | (n + 1)));
    }
    CompiledSet bounded;
    bounded.identities.push_back(
        {.identity = 300, .chain = {300, RAIND_ID_CONTAINERS, RAIND_ID_ANY}});
    const auto over = build_rules(bounded, deep, prefixes, probes);
    REQUIRE_FALSE(over.has_value());
    CHECK(over.error().message().find("needs 6 look-ups") != std::string::npos);
    CHECK(over.error().message().find("r261") != std::string::npos);
    probes.probes = 100;
    CompiledSet fits;
    fits.identities = bounded.identities;
    REQUIRE(build_rules(fits, deep, prefixes, probes).has_value());
    CHECK(fits.max_probes == 6);
}

TEST_CASE("10,000 rules compile to as many entries and three look-ups") {
    std::vector<ClassRule> rules;
    for (std::uint32_t n = 0; n < 10'000; ++n) {
        ClassRule r = rule(256 + n, 300 + n % 100, 400 + n / 100);
        if (n % 3 != 0)
            r.port_low = r.port_high = static_cast<std::uint16_t>(1 + n);
        if (n % 3 == 2 && n % 2 == 0)
            r.port_low = 0, r.port_high = 65535, r.protocol = 0;
        rules.push_back(r);
    }
    CompiledSet set;
    set.identities.push_back({.identity = 300, .chain = {300, RAIND_ID_CONTAINERS, RAIND_ID_ANY}});
    REQUIRE(build_rules(set, rules, {}, {}).has_value());
    CHECK(set.rules.size() == 10'000);
    CHECK(set.masks.size() == 3);
    CHECK(set.max_probes == 3);
}
