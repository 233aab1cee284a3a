// Sweeper: runs raind_sweep. One walk at a time: the caller serialises (one thread).
#pragma once

#include "raind/abi/ctl.h"
#include "raind/result.h"

#include "userspace/bpf/datapath.h"

namespace raind::bpf {

class Sweeper {
  public:
    explicit Sweeper(const Datapath& datapath) : datapath_(datapath) {}

    Result<raind_sweep_args> run(std::uint32_t flags, std::uint32_t ep_id = 0,
                                 std::uint32_t slot = 0) const;
    // Tells the programs that the daemon lives.
    Status heartbeat() const;

  private:
    const Datapath& datapath_;
};

}  // namespace raind::bpf
