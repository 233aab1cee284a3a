// Losses: what could not be passed on, summed by place and endpoint until a record has said it.
//
// Thread-safe. The kernel counts its own losses (raind_lost) and says most of them in LOST events,
// an endpoint's with its next record. What its counters are ahead of the events for kPatience
// rounds is said by us, without a container.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "raind/abi/base.h"
#include "raind/abi/event.h"

#include "userspace/flow/record.h"

namespace raind::flow {

// Per kind of loss, how much of the kernel's counters has been said.
using KernelSaid = std::array<std::uint64_t, RAIND_MAX_LOST>;

class Losses {
  public:
    static constexpr std::size_t kPatience = 3;

    // `said` is what an earlier process said of counters that outlive it.
    explicit Losses(const KernelSaid& said) : said_(said) { seen_.fill(said); }

    void add(const std::string& where, std::uint64_t count, std::uint32_t ep_id = 0);
    // A LOST event of the kernel.
    void add_event(const raind_event& event);
    // The kernel's counters as they are now; call about every two seconds.
    void kernel_counters(std::span<const std::uint64_t> counters);

    // Takes everything that waits to be said. What then cannot be written is added again.
    std::vector<Loss> take();
    bool empty() const;
    KernelSaid said() const;

  private:
    void add_locked(const std::string& where, std::uint64_t count, std::uint32_t ep_id);

    mutable std::mutex mutex_;  // guards all below
    std::map<std::pair<std::string, std::uint32_t>, std::uint64_t> waiting_;
    // By the kind under which the kernel says it (kind_said()).
    KernelSaid said_{};                         // by events and by us
    KernelSaid ahead_{};                        // of said_, what we said before an event did
    std::array<KernelSaid, kPatience> seen_{};  // counters of the last rounds, oldest first
};

}  // namespace raind::flow
