// Runs the hooks of a bundle: state on standard input, exactly their own arguments and
// environment, nothing else inherited, a time limit for the whole process group.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

#include "droplet/log.h"
#include "droplet/spec.h"

namespace raind::droplet {

struct HookRun {
    std::string_view phase;  // "createRuntime"
    std::string state;       // OCI state, JSON
    std::string working_dir;
    std::string container_id;
    const Logger* log = nullptr;  // for audit records; null inside of the container
};

// In order; the first one that fails ends the list. Its output stands in the error.
Status run_hooks(const std::vector<Hook>& hooks, const HookRun& run);
// poststop: a failing hook is a warning and the rest runs.
void run_all_hooks(const std::vector<Hook>& hooks, const HookRun& run, Logger& log);

}  // namespace raind::droplet
