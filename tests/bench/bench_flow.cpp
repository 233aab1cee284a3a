// Records a CPU second: enrichment by RecordMaker, the same text from a JSON tree, and the whole
// pipeline down to the file. Ratios count; absolute figures depend on the machine.
#include <cstring>
#include <ctime>
#include <fmt/format.h>
#include <string>

#include "raind/abi/enums.h"

#include "userspace/common/json.h"
#include "userspace/flow/pipeline.h"
#include "userspace/flow/record.h"

using namespace raind;
using namespace raind::flow;

namespace {

constexpr int kRecords = 200'000;

raind_event sample() {
    raind_event event{};
    event.version = RAIND_EVENT_VERSION;
    event.type = RAIND_EV_NEW;
    event.verdict = RAIND_V_ALLOW;
    event.reason = RAIND_R_POLICY;
    event.length = sizeof(event);
    event.family = 4;
    event.proto = 6;
    event.time = boottime_ns();
    std::memcpy(event.src.b, IpAddress::parse("10.166.0.1")->bytes().data(), sizeof(event.src.b));
    std::memcpy(event.dst.b, IpAddress::parse("10.166.0.2")->bytes().data(), sizeof(event.dst.b));
    event.sport = 40112;
    event.dport = 8080;
    event.flags = RAIND_EVF_EAST_WEST;
    event.rule = 256;
    event.src_ep = 1;
    event.dst_ep = 2;
    event.flow_id = 77;
    return event;
}

double seconds(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// CPU time, so that a busy machine does not spoil the ratio; of all threads for the pipeline.
template <typename F>
double per_second(clockid_t clock, F&& work) {
    const double begin = seconds(clock);
    work();
    return kRecords / (seconds(clock) - begin);
}

}  // namespace

int main() {
    IdentityTable table;
    for (std::uint32_t ep = 1; ep <= 2; ++ep)
        table.add({ep,
                   255 + ep,
                   "01kx3zzt55pw",
                   "01kx3zzt55pwabcdefghjkmnpq",
                   "name",
                   "spiffe://raind/container/01kx3zzt55pw",
                   "rd_01kx3zzt55pw",
                   IpAddress::v4(0x0aa60000U + ep),
                   {}});
    table.set_rules({{256, "01kx5b6g2h7j8k9m0n1p2q3r4s"}});
    raind_event event = sample();
    RecordMaker maker("01kx3zzt55pwabcdefghjkmnpq");
    maker.begin_batch(table.snapshot());
    std::string text;
    const double own = per_second(CLOCK_THREAD_CPUTIME_ID, [&] {
        for (int i = 0; i < kRecords; ++i) {
            text.clear();
            event.flow_id = static_cast<std::uint64_t>(i);
            maker.netflow(event, text);
        }
    });
    const Json tree = Json::parse(text);
    std::size_t bytes = 0;
    const double dump = per_second(CLOCK_THREAD_CPUTIME_ID, [&] {
        for (int i = 0; i < kRecords; ++i) {
            Json record = tree;  // stands for building the tree
            record["flow_id"] = i;
            bytes += dump_json(record).size();
        }
    });
    auto dir = TempDir::make("/tmp", "raind-bench-");
    auto pipeline = Pipeline::start({.folder = dir->path(), .node = "node"}, table);
    const double whole = per_second(CLOCK_PROCESS_CPUTIME_ID, [&] {
        for (int i = 1; i <= kRecords; ++i) {
            event.flow_id = static_cast<std::uint64_t>(i);
            (*pipeline)->push(event);
        }
        (*pipeline)->flush();
    });
    const auto stats = (*pipeline)->stats();
    fmt::print(
        "record {} bytes\nrecord maker {:.0f} a CPU second\njson tree {:.0f} a CPU second\nratio {:.1f}\n"
        "pipeline to file {:.0f} a CPU second ({} written, {} over the queue)\n",
        text.size(), own, dump, own / dump, whole, stats.netflow_written, stats.overflow);
    return bytes == 0 ? 1 : 0;
}
