// The compiled BPF objects, embedded at build time.
#pragma once

#include <cstddef>
#include <span>

namespace raind::bpf {

std::span<const std::byte> tc_object();
std::span<const std::byte> ctl_object();

}  // namespace raind::bpf
