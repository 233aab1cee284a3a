// The classifiers of an interface's clsact queueing discipline, as the kernel lists them. Interface
// indexes are those of the calling thread's network namespace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "raind/result.h"

namespace raind::bpf {

enum class TcHook { Ingress, Egress };

struct TcFilter {
    std::string kind;  // bpf, flower, ...
    std::uint32_t handle = 0;
    std::uint16_t priority = 0;
    std::uint16_t protocol = 0;  // ETH_P_*
    std::uint32_t program = 0;   // id; 0: no BPF program
    bool direct_action = false;  // its return code is the verdict
};

// In the order in which they run. Empty without the interface or the queueing discipline.
Result<std::vector<TcFilter>> tc_filters(std::uint32_t ifindex, TcHook hook);

}  // namespace raind::bpf
