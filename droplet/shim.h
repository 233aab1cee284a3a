// The shim: one small single-threaded process per container. It is the child subreaper that runs
// create, keeps the container's output pipes, writes the log, reaps, writes exit.json and serves
// shim.sock (include/raind/shim_protocol.h) until the container has ended.
#pragma once

#include <string>

#include "raind/result.h"

#include "droplet/log.h"

namespace raind::droplet {

struct ShimOptions {
    std::string root;
    std::string id;
    std::string bundle;
    std::string log_path;
    std::size_t log_max_size = 10U << 20;
    int log_files = 3;
    int ready_fd = -1;
};

// The exit status of the shim itself: 0 when the container has ended and exit.json is written.
int run_shim(const ShimOptions& options, Logger& log);

}  // namespace raind::droplet
