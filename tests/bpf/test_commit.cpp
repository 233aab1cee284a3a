// A commit is one instant: packets that both sets permit are never refused while sets are
// exchanged, packets that both refuse never pass, and a packet gets the old verdict or the new one.
#include <atomic>
#include <doctest/doctest.h>
#include <linux/pkt_cls.h>
#include <thread>

#include "tests/bpf/harness.h"
#include "tests/bpf/world.h"

using namespace raind;
using namespace raind::testing;

namespace {

constexpr int kCommits = 40;

template <typename T>
T must(Result<T> result) {
    if (!result)
        FAIL(result.error().message());
    return std::move(*result);
}

int verdict(int program, std::uint32_t ifindex, const Bytes& packet) {
    __sk_buff ctx{};
    ctx.ifindex = ifindex;
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = packet.data();
    options.data_size_in = static_cast<std::uint32_t>(packet.size());
    options.ctx_in = &ctx;
    options.ctx_size_in = sizeof ctx;
    if (::bpf_prog_test_run_opts(program, &options) != 0)
        return -100;
    return static_cast<int>(options.retval);
}

Bytes datagram(std::uint16_t sport, std::uint16_t dport) {
    return frame(web(), db(), 4).udp(sport, dport).payload(8).build();
}

}  // namespace

TEST_CASE("commits under traffic") {
    const std::unique_ptr<Harness> harness = must(Harness::make());
    const auto permit = [](std::uint16_t extra, std::uint64_t revision) {
        return Rules()
            .allow(kWebId, kDbId, 17, 5000, 256)
            .allow(kWebId, kDbId, 17, extra, 257)
            .done(revision);
    };
    World w = world(std::vector<core::CompiledSet>{permit(6000, 1)});
    w.endpoints[kWeb].spec.event_rate = 1;
    // every packet of one kind opens a flow: known ones would not ask the policy
    w.endpoints[kWeb].spec.ct_out_limit = 60000;
    w.flow_table = 131072;
    REQUIRE(harness->reset(w).has_value());
    const int program = harness->datapath().from_fd();
    const std::uint32_t port = harness->ifindex(kWeb);
    std::atomic<bool> stop = false;
    std::atomic<std::uint64_t> packets = 0, wrong_denials = 0, wrong_passes = 0;
    std::jthread traffic([&] {
        for (std::uint16_t n = 0; !stop && n < 38000; n++) {
            const auto fresh = static_cast<std::uint16_t>(1000 + n);
            wrong_denials += verdict(program, port, datagram(40000, 5000)) != TC_ACT_REDIRECT;
            wrong_denials += verdict(program, port, datagram(fresh, 5000)) != TC_ACT_REDIRECT;
            wrong_passes += verdict(program, port, datagram(fresh, 7000)) != TC_ACT_SHOT;
            packets += 3;
        }
    });
    for (std::uint64_t n = 0; n < kCommits; n++) {
        const std::uint16_t extra = n % 2 == 0 ? 6001 : 6000;
        const std::uint16_t other = n % 2 == 0 ? 6000 : 6001;
        const auto commit = harness->committer().apply(permit(extra, n + 2));
        REQUIRE(commit.has_value());
        // in force with the return of the call
        CHECK(verdict(program, port, datagram(60000, extra)) == TC_ACT_REDIRECT);
        CHECK(verdict(program, port, datagram(60001, other)) == TC_ACT_SHOT);
        // and idle flows of the permission that is gone end
        const core::SweepCounts done = must(harness->committer().rejudge());
        CHECK(done.cut <= 1);
        CHECK(must(harness->committer().applied()).revision == n + 2);
    }
    stop = true;
    traffic.join();
    CHECK(packets > 300);
    CHECK(wrong_denials == 0);
    CHECK(wrong_passes == 0);
    MESSAGE(packets.load() << " packets during " << kCommits << " commits");
}

TEST_CASE("the rules stand in the pinned map, one entry a rule") {
    // the first case's harness has ended; the process has its namespaces
    const std::unique_ptr<Harness> harness = must(Harness::make());
    REQUIRE(harness->reset(world(Rules().allow(kWebId, kDbId, 6, 8080, 256))).has_value());
    const bpf::Datapath& datapath = harness->datapath();
    const std::uint64_t word = *must(datapath.active.lookup(0));
    const auto rules = must(datapath.policy.at(RAIND_ACTIVE_SLOT(word)).entries());
    REQUIRE(rules.size() == 1);
    CHECK(rules.front().first.src == kWebId);
    CHECK(rules.front().first.port == 8080);
    CHECK(rules.front().second.rule == 256);
    // the same set again changes nothing but the slot and the generation
    REQUIRE(harness->committer().apply(Rules().allow(kWebId, kDbId, 6, 8080, 256).done(2)));
    const std::uint64_t next = *must(datapath.active.lookup(0));
    CHECK(RAIND_ACTIVE_SLOT(next) == 1 - RAIND_ACTIVE_SLOT(word));
    CHECK(RAIND_ACTIVE_GEN(next) == RAIND_ACTIVE_GEN(word) + 1);
    // what somebody else wrote into the idle slot after a restart does not stay
    const std::uint32_t idle = RAIND_ACTIVE_SLOT(word);
    raind_polkey key{};
    key.src = RAIND_ID_ANY;
    key.dst = RAIND_ID_ANY;
    REQUIRE(datapath.policy.at(idle).update(key, raind_polval{.action = RAIND_ACT_ALLOW}));
    bpf::Committer restarted = must(bpf::Committer::make(datapath, harness->sweeper()));
    REQUIRE(restarted.apply(Rules().done(3)));
    CHECK(must(datapath.policy.at(idle).keys()).empty());
}
