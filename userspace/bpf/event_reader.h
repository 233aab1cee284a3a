// EventReader: reads both rings. Programs wake the reader only when much is waiting, so poll()
// looks into the rings at the end of every wait as well. One thread; the handler runs in it and
// must not block.
#pragma once

#include <array>
#include <bpf/libbpf.h>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "raind/abi/enums.h"
#include "raind/abi/event.h"
#include "raind/result.h"

#include "userspace/bpf/datapath.h"

namespace raind::bpf {

class EventReader {
  public:
    using Handler = std::function<void(const raind_event&)>;

    // Keeps the handler; `datapath` must outlive the reader.
    static Result<std::unique_ptr<EventReader>> make(const Datapath& datapath, Handler handler);

    // Waits at most `timeout` and delivers everything that is there. Gives the number delivered.
    Result<std::size_t> poll(std::chrono::milliseconds timeout);
    // Records of unknown version or length, not delivered.
    std::uint64_t malformed() const { return malformed_; }
    // Kernel counters by RAIND_LOST_*.
    Result<std::array<std::uint64_t, RAIND_LOST_SAID>> lost() const;

  private:
    struct Free {
        void operator()(ring_buffer* ring) const { ::ring_buffer__free(ring); }
    };
    EventReader(const Datapath& datapath, Handler handler)
        : datapath_(datapath), handler_(std::move(handler)) {}
    static int on_record(void* self, void* data, std::size_t size);

    const Datapath& datapath_;
    Handler handler_;
    std::unique_ptr<ring_buffer, Free> rings_;
    std::size_t delivered_ = 0;
    std::uint64_t malformed_ = 0;
};

}  // namespace raind::bpf
