// What the kernel says of loaded programs, and of those that run by tcx. Interface indexes are
// those of the calling thread's network namespace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "raind/result.h"

namespace raind::bpf {

// Of kernel 6.6; the distribution's headers are older.
inline constexpr int kTcxIngress = 46;
inline constexpr int kTcxEgress = 47;

Result<std::uint32_t> program_id(int fd);
// Of the instructions: two loads of the same program have the same one.
Result<std::string> program_tag(int fd);

// Whether the kernel has tcx: asks for the programs of the loopback device.
Result<bool> tcx_supported();
// Ids in the order in which they run; empty where the kernel has no tcx.
Result<std::vector<std::uint32_t>> tcx_programs(std::uint32_t ifindex, int type);

}  // namespace raind::bpf
