// Cost of the programs by BPF_PROG_TEST_RUN: nanoseconds a packet and the ratio to an empty
// program, the smallest of interleaved rounds. Only packets that the program does not rewrite can
// be repeated; new flows are timed one by one, with the cost of a single run of the empty program
// taken off.
#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <limits>

#include "program_empty.skel.h"
#include "tests/bpf/harness.h"
#include "tests/bpf/world.h"
#include "userspace/bpf/object.h"

using namespace raind;
using namespace raind::testing;

namespace {

constexpr int kRounds = 7;
constexpr int kRepeat = 200'000;
constexpr int kSingles = 2000;

Result<std::uint32_t> time_run(int program, std::uint32_t ifindex, const Bytes& packet,
                               int repeat) {
    __sk_buff ctx{};
    ctx.ifindex = ifindex;
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = packet.data();
    options.data_size_in = static_cast<std::uint32_t>(packet.size());
    options.ctx_in = &ctx;
    options.ctx_size_in = sizeof ctx;
    options.repeat = repeat;
    if (::bpf_prog_test_run_opts(program, &options) != 0)
        return os_error("run program");
    return options.duration;
}

Bytes datagram(std::uint16_t sport, std::uint16_t dport) {
    return frame(web(), db(), 4).udp(sport, dport).payload(18).build();
}

World bench_world(std::size_t rules) {
    Rules set;
    for (std::uint32_t i = 0; i < rules; i++)
        set.allow(1000 + i, 2000 + i, 17, 5000, 1000 + i);
    World w = world(set.allow(kWebId, kDbId, 17, 0, 256).allow(kWebId, kDbId, 6, 8080, 257));
    w.flow_table = 65536;
    // repeated runs would otherwise measure the recording of the first packets
    w.endpoints[kWeb].spec.event_rate = 1;
    return w;
}

void print(const char* what, std::size_t rules, double ns, double empty) {
    fmt::print("{:<34} {:>7} rules {:>8.0f} ns {:>7.1f} x empty\n", what, rules, ns, ns / empty);
}

Status measure(Harness& harness, int empty, std::size_t rules) {
    RAIND_CHECK(harness.reset(bench_world(rules)));
    const std::uint32_t port = harness.ifindex(kWeb);
    const int program = harness.datapath().from_fd();
    const Bytes known_packet = datagram(40000, 5000);
    Bytes denied_packet = frame(web(), slow(), 4).udp(40000, 5000).payload(18).build();
    auto none = std::numeric_limits<std::uint32_t>::max();
    std::uint32_t best_empty = none, best_known = none, best_denied = none;
    for (int round = 0; round < kRounds; round++) {
        RAIND_TRY(const std::uint32_t e, time_run(empty, port, known_packet, kRepeat));
        RAIND_TRY(const std::uint32_t k, time_run(program, port, known_packet, kRepeat));
        RAIND_TRY(const std::uint32_t d, time_run(program, port, denied_packet, kRepeat));
        best_empty = std::min(best_empty, e);
        best_known = std::min(best_known, k);
        best_denied = std::min(best_denied, d);
    }
    std::vector<std::uint32_t> fresh, floor;
    for (std::uint16_t i = 0; i < kSingles; i++) {
        const Bytes packet = datagram(static_cast<std::uint16_t>(42000 + i), 5001);
        RAIND_TRY(const std::uint32_t e, time_run(empty, port, packet, 1));
        RAIND_TRY(const std::uint32_t n, time_run(program, port, packet, 1));
        floor.push_back(e);
        fresh.push_back(n);
    }
    std::ranges::sort(fresh);
    std::ranges::sort(floor);
    const double base = std::max(1.0, static_cast<double>(best_empty));
    const double single =
        static_cast<double>(fresh[kSingles / 2]) - static_cast<double>(floor[kSingles / 2]);
    print("empty program", rules, base, base);
    print("established flow", rules, best_known, base);
    print("denied new flow (aggregated)", rules, best_denied, base);
    print("permitted new flow (median of one)", rules, single, base);
    return {};
}

Status run() {
    RAIND_TRY(const std::unique_ptr<Harness> harness, Harness::make());
    std::size_t size = 0;
    const void* bytes = program_empty::elf_bytes(&size);
    RAIND_TRY(bpf::BpfObject object,
              bpf::BpfObject::open({static_cast<const std::byte*>(bytes), size}, "program_empty"));
    RAIND_CHECK(object.load());
    RAIND_TRY(const int empty, object.program_fd("program_empty"));
    for (const std::size_t rules : {10U, 1000U, 10000U})
        RAIND_CHECK(measure(*harness, empty, rules));
    return {};
}

}  // namespace

int main() {
    const Status status = run();
    if (!status)
        fmt::print(stderr, "error: {}\n", status.error().message());
    return status ? 0 : 1;
}
