// The client half of exec: a WebSocket with the sub-protocol raind.streams.v1 whose streams are
// joined with this process's own standard streams. One thread polls everything.
#pragma once

#include <csignal>
#include <string>

#include "raind/unique_fd.h"

#include "cli/endpoint.h"
#include "cli/outcome.h"
#include "cli/tls_socket.h"

namespace raind::cli {

struct Upgraded {
    TlsSocket socket;
    std::string rest;  // bytes that came behind the answer's head
};

// Asks for the upgrade of `target`. An answer of the daemon that refuses becomes its error.
Outcome<Upgraded> open_stream(const Endpoint& endpoint, const std::string& target,
                              const std::string& attempt);

// Holds INT and TERM back from this process so that they can be passed on. Restores at its end.
class SignalForwarding {
  public:
    SignalForwarding();
    SignalForwarding(const SignalForwarding&) = delete;
    SignalForwarding& operator=(const SignalForwarding&) = delete;
    ~SignalForwarding();

    int fd() const { return fd_.get(); }

  private:
    sigset_t before_{};
    UniqueFd fd_;
};

// Runs until the command has ended and everything is written; gives its exit code.
Outcome<int> run_streams(Upgraded upgraded, const SignalForwarding& signals,
                         const std::string& attempt);

}  // namespace raind::cli
