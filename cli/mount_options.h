// -v of `container create` and `container run`.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace raind::cli {

// Checked for their form; paths that begin with "." are made absolute here, where the shell is.
Outcome<std::vector<std::string>> mounts_of(const Parsed& parsed);

}  // namespace raind::cli
