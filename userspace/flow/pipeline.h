// Pipeline: kernel events in, records in raind_netflow.jsonl and raind_flow.jsonl out.
//
// push() is for the reader thread: it copies into a bounded queue and never waits for the disk;
// what does not fit is counted, with the container to blame. One writer thread of the pipeline
// enriches and writes in batches, within kLinger of the arrival. Whatever is not written, here or
// in the kernel, is said in a log.lost record as soon as one can be written. The destructor writes
// what is in the queue.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "raind/abi/event.h"
#include "raind/result.h"

#include "userspace/common/fs.h"
#include "userspace/common/jsonl.h"
#include "userspace/flow/identity.h"
#include "userspace/flow/losses.h"
#include "userspace/flow/record.h"
#include "userspace/flow/seen.h"

namespace raind::flow {

inline constexpr const char* kNetflowFile = "raind_netflow.jsonl";
inline constexpr const char* kFlowFile = "raind_flow.jsonl";

struct PipelineOptions {
    stdfs::path folder;  // must be there
    std::string node;    // stable id of this host
    std::size_t queue = 131'072;
    JsonlOptions file;
    KernelSaid kernel_said{};  // as the last process left it; zero at first
};

struct PipelineStats {
    std::uint64_t pushed = 0;           // events taken into the queue
    std::uint64_t overflow = 0;         // events that found it full
    std::uint64_t malformed = 0;        // of another version or size
    std::uint64_t netflow_written = 0;  // records in the file, without losses
    std::uint64_t flow_written = 0;
    std::uint64_t netflow_lost = 0;  // records that the disk refused
    std::uint64_t flow_lost = 0;
    std::uint64_t losses_said = 0;  // log.lost records
};

class Pipeline {
  public:
    static Result<std::unique_ptr<Pipeline>> start(PipelineOptions options,
                                                   const IdentityTable& identities);
    ~Pipeline();
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    // One record of a ring, as it is. From one or more reader threads.
    void push(std::span<const std::byte> record);
    void push(const raind_event& event);
    // Losses that others count. Any thread.
    Losses& losses() { return losses_; }
    // Returns when everything pushed before is written or counted as lost.
    void flush();
    PipelineStats stats() const;

  private:
    // Lines for one file that wait for their write.
    struct Output {
        Output(JsonlFile opened, const char* place) : file(std::move(opened)), where(place) {}
        JsonlFile file;
        const char* where;  // in log.lost
        std::string lines;
        std::uint64_t count = 0;
        bool failing = false;
        std::atomic<std::uint64_t> written = 0;
        std::atomic<std::uint64_t> lost = 0;
    };

    Pipeline(PipelineOptions options, const IdentityTable& identities, JsonlFile netflow,
             JsonlFile flow);
    void run(std::stop_token stop);
    void write_batch();
    void handle(const raind_event& event);
    void add_netflow(const raind_event& event);
    void write_out(Output& output);
    void say_losses();
    void take_overflow();

    const PipelineOptions options_;
    const IdentityTable& identities_;
    const std::uint64_t started_;  // CLOCK_BOOTTIME
    Losses losses_;

    mutable std::mutex mutex_;  // guards the seven below
    std::condition_variable_any wake_;
    std::condition_variable done_;
    std::vector<raind_event> queue_;
    std::unordered_map<std::uint32_t, std::uint64_t> overflow_;  // by endpoint, not yet in losses_
    std::uint64_t flush_wanted_ = 0;
    std::uint64_t flush_done_ = 0;

    std::atomic<std::uint64_t> pushed_ = 0;
    std::atomic<std::uint64_t> overflowed_ = 0;
    std::atomic<std::uint64_t> malformed_ = 0;
    std::atomic<std::uint64_t> losses_said_ = 0;

    // The writer thread's own.
    std::vector<raind_event> batch_;
    RecordMaker records_;
    SeenFlows seen_;
    Output netflow_;
    Output flow_;
    std::uint64_t last_said_ = 0;
    bool say_at_once_ = false;

    std::jthread writer_;  // last: uses everything above
};

}  // namespace raind::flow
