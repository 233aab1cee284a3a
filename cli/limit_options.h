// --memory, --cpus, --pids-limit, --stop-timeout: Docker's spellings as the numbers of the API.
#pragma once

#include <cstdint>
#include <string>

#include "raind/api/types.h"

#include "cli/command.h"

namespace raind::cli {

// 512m, 1.5g, bytes; 0 and -1: no limit.
Outcome<std::int64_t> memory_bytes(const std::string& text);
// 0.5, 2, .25 as billionths of a processor.
Outcome<std::int64_t> cpu_billionths(const std::string& text);

std::vector<OptionSpec> limit_options();
Outcome<void> read_limits(const Parsed& parsed, api::CreateContainerRequest& request);

}  // namespace raind::cli
