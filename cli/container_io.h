// What the translation units of `raind container` share.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "raind/api/types.h"

#include "cli/command.h"

namespace raind::cli {

// The daemon answers a stop when the container has ended, which may have been given long to do so.
inline constexpr std::chrono::seconds kStopPatience{api::kLongestStopTimeout + 60};

// "/v1/containers/NAME" and what follows.
std::string container_target(const std::string& container, const std::string& rest);

// exec and logs.
std::vector<CommandSpec> container_io_commands();

}  // namespace raind::cli
