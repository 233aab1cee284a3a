// What the two translation units of `raind container` share.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace raind::cli {

// "/v1/containers/NAME" and what follows.
std::string container_target(const std::string& container, const std::string& rest);

// exec and logs.
std::vector<CommandSpec> container_io_commands();

}  // namespace raind::cli
