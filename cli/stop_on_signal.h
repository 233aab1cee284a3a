// INT and TERM for a command that waits for its container: the first stops the container, as
// `raind container stop` does, while the command goes on waiting; the second ends the command.
#pragma once

#include <string>
#include <thread>

#include "raind/unique_fd.h"

#include "cli/endpoint.h"
#include "cli/stream_session.h"

namespace raind::cli {

class StopOnSignal {
  public:
    // `signals` holds them back since before the container was started and outlives this object. A
    // stop that fails is told on standard error.
    StopOnSignal(Endpoint endpoint, std::string container, const SignalForwarding& signals);
    StopOnSignal(const StopOnSignal&) = delete;
    StopOnSignal& operator=(const StopOnSignal&) = delete;
    ~StopOnSignal();

  private:
    UniqueFd over_;  // an eventfd
    std::thread watcher_;
};

}  // namespace raind::cli
