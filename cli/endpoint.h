// Where a daemon is and which certificates speak to it. Read once at start.
#pragma once

#include <cstdint>
#include <string>

#include "cli/outcome.h"

namespace raind::cli {

struct Endpoint {
    std::string host = "127.0.0.1";
    std::uint16_t port = 7755;
    std::string ca_file;
    std::string cert_file;
    std::string key_file;

    std::string address() const;  // host:port for people
};

struct EndpointChoice {
    std::string host;  // --host, else RAIND_HOST; empty: from the root or the default
    std::string root;  // --root; empty: the machine's own instance
};

// Resolves the choice: the root gives certificates and, without a host, the address from
// DIR/run/raind/endpoints.json.
Outcome<Endpoint> resolve_endpoint(const EndpointChoice& choice);

// "127.0.0.1", "127.0.0.1:7755", "https://localhost:7755", "[::1]:7755".
Outcome<Endpoint> parse_host(const std::string& text, Endpoint base);

// The literal first lines that scripts know, in front of what is really wrong.
CliError not_readable(const std::string& path, int error_number);
CliError cannot_connect(std::string message, std::string hint);

}  // namespace raind::cli
