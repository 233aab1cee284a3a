#include <doctest/doctest.h>

#include "raind/abi/enums.h"

#include "userspace/flow/losses.h"

using namespace raind::flow;

namespace {

raind_event lost(std::uint32_t kind, std::uint32_t count, std::uint32_t ep) {
    raind_event event{};
    event.type = RAIND_EV_LOST;
    event.lost_kind = static_cast<__u8>(kind);
    event.count = count;
    event.src_ep = ep;
    return event;
}

void rounds(Losses& losses, const KernelSaid& counters) {
    for (std::size_t i = 0; i <= Losses::kPatience; ++i)
        losses.kernel_counters(counters);
}

std::uint64_t sum(Losses& losses) {
    std::uint64_t out = 0;
    for (const Loss& loss : losses.take())
        out += loss.count;
    return out;
}

}  // namespace

TEST_CASE("losses are summed by place and endpoint until they are taken") {
    Losses losses({});
    losses.add("reader", 2, 5);
    losses.add("reader", 3, 5);
    losses.add("reader", 1, 6);
    losses.add("writer.flow", 0);
    const auto taken = losses.take();
    REQUIRE(taken.size() == 2);
    CHECK(taken[0].count == 5);
    CHECK(taken[0].ep_id == 5);
    CHECK(taken[1].count == 1);
    CHECK(losses.empty());
}

TEST_CASE("an event names kind and endpoint") {
    Losses losses({});
    losses.add_event(lost(RAIND_LOST_TOKENS, 4, 9));
    const auto taken = losses.take();
    REQUIRE(taken.size() == 1);
    CHECK(taken[0].where == "kernel.tokens");
    CHECK(taken[0].count == 4);
    CHECK(taken[0].ep_id == 9);
}

TEST_CASE("what the kernel counted and what is said come to the same sum") {
    KernelSaid counters{};
    Losses losses({});
    losses.kernel_counters(counters);
    counters[RAIND_LOST_FLOW_RING] = 10;
    losses.kernel_counters(counters);
    CHECK(losses.empty());  // its event may still come
    SUBCASE("the event comes") {
        losses.add_event(lost(RAIND_LOST_FLOW_RING, 10, 0));
        rounds(losses, counters);
        CHECK(sum(losses) == 10);
    }
    SUBCASE("no event comes") {
        rounds(losses, counters);
        rounds(losses, counters);
        CHECK(sum(losses) == 10);
    }
    SUBCASE("the event comes late, with more") {
        rounds(losses, counters);
        counters[RAIND_LOST_FLOW_RING] = 15;
        losses.add_event(lost(RAIND_LOST_FLOW_RING, 15, 0));
        rounds(losses, counters);
        CHECK(sum(losses) == 15);
    }
    CHECK(losses.said()[RAIND_LOST_FLOW_RING] == counters[RAIND_LOST_FLOW_RING]);
}

TEST_CASE("a new process says what was lost while there was none, once") {
    KernelSaid said{};
    said[RAIND_LOST_DENY_RING] = 5;
    KernelSaid counters{};
    counters[RAIND_LOST_DENY_RING] = 12;
    Losses losses(said);
    rounds(losses, counters);
    CHECK(sum(losses) == 7);
    rounds(losses, counters);
    CHECK(losses.empty());
    // Counters of map entries are no records.
    counters[RAIND_LOST_RULEHIT] = 3;
    rounds(losses, counters);
    CHECK(losses.empty());
    // New maps begin at zero.
    counters = {};
    counters[RAIND_LOST_DENY_RING] = 2;
    rounds(losses, counters);
    CHECK(sum(losses) == 2);
}

TEST_CASE("an endpoint's losses have two counters and one event") {
    KernelSaid counters{};
    Losses losses({});
    counters[RAIND_LOST_TOKENS] = 3;
    counters[RAIND_LOST_DENY_SHARE] = 4;
    losses.add_event(lost(RAIND_LOST_TOKENS, 7, 9));
    rounds(losses, counters);
    CHECK(sum(losses) == 7);
    counters[RAIND_LOST_DENY_SHARE] = 6;
    rounds(losses, counters);
    CHECK(sum(losses) == 2);
}
