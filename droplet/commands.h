// The command line of droplet: one table of commands. Texts and exit codes are those that OCI
// clients match.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "droplet/log.h"

namespace raind::droplet {

// Returns the exit status of the program.
int run_command_line(std::span<const std::string_view> words);

}  // namespace raind::droplet
