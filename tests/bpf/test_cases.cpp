// The case table through the BPF programs.
#include <algorithm>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <iostream>
#include <map>

#include "tests/bpf/harness.h"

using namespace raind;
using namespace raind::testing;

namespace {

bool about_packet(const raind_event& event) {
    return event.type != RAIND_EV_END && event.type != RAIND_EV_LOST;
}

const char* outcome_name(Outcome outcome) {
    switch (outcome) {
        case Outcome::Drop:
            return "drop";
        case Outcome::Pass:
            return "pass";
        case Outcome::ToHost:
            return "to host";
        case Outcome::Deliver:
            return "deliver";
        case Outcome::Answer:
            return "answer";
    }
    return "?";
}

// Exactly one bit on what enters the host's IP: for the host itself, or to be routed on.
std::uint32_t right_stamp(const World& world, const Bytes& frame) {
    const std::size_t at = frame[12] == 0x08 ? 30 : 38;
    const std::size_t size = frame[12] == 0x08 ? 4 : 16;
    const auto names_host = [&](const core::HostAddress& host) {
        const auto& bytes = host.address.bytes();
        return std::equal(bytes.end() - static_cast<std::ptrdiff_t>(size), bytes.end(),
                          frame.begin() + static_cast<std::ptrdiff_t>(at));
    };
    return std::ranges::any_of(world.host, names_host) ? RAIND_STAMP_TO_HOST
                                                       : RAIND_STAMP_FROM_PORT;
}

// Differences between what was expected and what came; empty: none.
std::string differences(const World& world, const Step& step, const Observed& seen) {
    std::string out;
    const auto differ = [&](const char* what, const auto& wanted, const auto& got) {
        if (wanted != got)
            out += fmt::format(" {}: {} instead of {};", what, got, wanted);
    };
    const Expected& want = step.expected;
    differ("outcome", std::string_view(outcome_name(want.outcome)),
           std::string_view(outcome_name(seen.outcome)));
    differ("reason", abi::reason_name(want.reason), abi::reason_name(seen.reason));
    differ("flow", want.flow, seen.flow);
    const auto event = std::ranges::find_if(seen.events, about_packet);
    const bool found = event != seen.events.end();
    differ("event", abi::event_name(want.event), abi::event_name(found ? event->type : 0));
    if (found && want.rule != 0)
        differ("rule", want.rule, event->rule);
    // a reset is the answer to a drop; everything else that comes back or goes on has passed
    const bool passes = want.outcome != Outcome::Drop &&
                        (want.outcome != Outcome::Answer || want.reason == RAIND_R_ANSWERED);
    differ("counted as passed", passes, seen.passed);
    if (want.outcome == Outcome::ToHost)
        differ("stamp", want.stamp != 0 ? want.stamp : right_stamp(world, step.packet), seen.stamp);
    if (std::ranges::count_if(seen.events, about_packet) > 1)
        out += " more than one record;";
    return out;
}

}  // namespace

TEST_CASE("every case of the table") {
    Result<std::unique_ptr<Harness>> harness = Harness::make();
    if (!harness)
        FAIL(harness.error().message());
    std::vector<Case> cases = all_cases();
    // the size of the flow table costs a load: cases of one size together
    std::ranges::stable_sort(cases, {}, [](const Case& c) { return c.world.flow_table; });
    std::map<std::string, int> groups;
    std::size_t steps = 0;
    for (const Case& c : cases) {
        const Status ready = (*harness)->reset(c.world);
        if (!ready)
            FAIL(c.group << ": " << c.name << ": " << ready.error().message());
        groups[c.group]++;
        for (const Step& step : c.steps) {
            steps++;
            const Result<Observed> seen = (*harness)->run(step);
            const std::string what = c.group + ": " + c.name + ": " + step.name + ":";
            if (!seen)
                FAIL(what << seen.error().message());
            const std::string wrong = differences(c.world, step, *seen);
            CHECK_MESSAGE(wrong.empty(), what << wrong);
            if (!wrong.empty())
                break;
        }
    }
    std::cout << cases.size() << " cases, " << steps << " steps:";
    for (const auto& [group, count] : groups)
        std::cout << ' ' << group << ' ' << count;
    std::cout << '\n';
}
