// The table of packets that the BPF programs must pass, judged by the evaluator.
#include <doctest/doctest.h>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/bpf/cases.h"
#include "userspace/core/evaluator.h"

using namespace raind;
using namespace raind::testing;

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint32_t kFirstIfindex = 1000;
constexpr std::uint32_t kBridge = 999;

core::Delivery delivery_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::Drop:
            return core::Delivery::Drop;
        case Outcome::Pass:
            return core::Delivery::Pass;
        case Outcome::ToHost:
            return core::Delivery::ToHost;
        case Outcome::Deliver:
            return core::Delivery::Redirect;
        case Outcome::Answer:
            return core::Delivery::Answer;
    }
    return core::Delivery::Drop;
}

const char* delivery_name(core::Delivery delivery) {
    switch (delivery) {
        case core::Delivery::Drop:
            return "drop";
        case core::Delivery::Pass:
            return "pass";
        case core::Delivery::ToHost:
            return "to host";
        case core::Delivery::Redirect:
            return "deliver";
        case core::Delivery::Answer:
            return "answer";
    }
    return "";
}

// One case's world in the evaluator. Interfaces are numbered by position: the table leaves that to
// whoever runs it.
class Run {
  public:
    explicit Run(const World& world) : world_(world), evaluator_(world.flow_table) {
        for (std::size_t n = 0; n < world_.endpoints.size(); ++n)
            place(n);
        evaluator_.set_host_addresses(world_.host);
        evaluator_.set_pools(world_.pools);
        evaluator_.set_published(world_.published);
        if (!world_.sets.empty())
            evaluator_.commit(world_.sets.front());
    }

    core::Judgement step(const Step& step) {
        prepare(step);
        return evaluator_.judge({.hook = step.direction == Direction::FromContainer
                                             ? core::Hook::FromContainer
                                             : core::Hook::ToContainer,
                                 .ifindex = ifindex(step.port),
                                 .frame = step.packet,
                                 .mark = step.mark,
                                 .forwarded = step.forwarded});
    }

  private:
    static std::uint32_t ifindex(std::size_t port) {
        return kFirstIfindex + static_cast<std::uint32_t>(port);
    }
    void place(std::size_t n) {
        core::EndpointSpec& spec = world_.endpoints[n].spec;
        spec.ifindex = ifindex(n);
        spec.bridge_ifindex = kBridge;
        evaluator_.set_endpoint(spec, world_.endpoints[n].flags);
    }
    void prepare(const Step& step) {
        const auto number = static_cast<std::size_t>(step.number);
        switch (step.before) {
            case Before::Nothing:
                return;
            case Before::Commit:
                evaluator_.commit(world_.sets.at(number));
                return;
            case Before::CommitSweep:
                evaluator_.commit(world_.sets.at(number));
                evaluator_.rejudge();
                return;
            case Before::Age:
                evaluator_.age_flows(step.number * kMillisecond);
                return;
            case Before::Restart:
                world_.endpoints.at(number).spec.ep_id += 1000;
                place(number);
                return;
            case Before::Withdraw:
                evaluator_.remove_endpoint(ifindex(number));
                return;
            case Before::Sweep:
                evaluator_.sweep();
                return;
            case Before::Fill:
                evaluator_.add_foreign_flows(step.number);
                return;
            case Before::Unpublish:
                evaluator_.set_published({});
                return;
        }
    }

    World world_;
    core::Evaluator evaluator_;
};

void check_step(const Step& step, const core::Judgement& got) {
    CHECK_MESSAGE(got.delivery == delivery_of(step.expected.outcome), "outcome: got ",
                  delivery_name(got.delivery), ", expected ",
                  delivery_name(delivery_of(step.expected.outcome)));
    CHECK_MESSAGE(got.reason == step.expected.reason, "reason: got ", abi::reason_name(got.reason),
                  ", expected ", abi::reason_name(step.expected.reason));
    CHECK_MESSAGE(got.event == step.expected.event, "event: got ", abi::event_name(got.event),
                  ", expected ", abi::event_name(step.expected.event));
    if (step.expected.stamp != 0)
        CHECK_MESSAGE(got.stamp == step.expected.stamp, "stamp: got ", got.stamp);
    CHECK_MESSAGE(got.flow == step.expected.flow, "flow entry: got ", got.flow);
    if (step.expected.rule != 0)
        CHECK_MESSAGE(got.rule == step.expected.rule, "rule: got ", got.rule, ", expected ",
                      step.expected.rule);
}

}  // namespace

TEST_CASE("the packet table, judged by the evaluator") {
    const std::vector<Case> cases = all_cases();
    REQUIRE(!cases.empty());
    std::map<std::string, unsigned> groups;
    std::set<std::string> names;
    std::size_t steps = 0;
    for (const Case& item : cases) {
        CHECK_MESSAGE(names.insert(item.group + "/" + item.name).second, "two cases are called ",
                      item.name);
        ++groups[item.group];
        Run run(item.world);
        for (const Step& step : item.steps) {
            INFO(item.group << " / " << item.name << " / " << step.name);
            check_step(step, run.step(step));
            ++steps;
        }
    }
    MESSAGE("judged " << cases.size() << " cases, " << steps << " packets, " << groups.size()
                      << " groups");
}
