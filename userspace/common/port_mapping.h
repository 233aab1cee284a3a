// A published port as the user writes it: [ADDRESS:]HOST:CONTAINER[/PROTOCOL]. Shared by the CLI,
// which refuses what is malformed, and the daemon, which decides. Pure values, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "raind/result.h"

#include "userspace/common/addr.h"

namespace raind {

enum class PortProtocol : std::uint8_t { Tcp = 6, Udp = 17 };

struct PortMapping {
    std::optional<IpAddress> address;  // none: every address of the host, both families
    std::uint16_t host = 0;
    std::uint16_t container = 0;
    PortProtocol protocol = PortProtocol::Tcp;

    // Also takes HOST:CONTAINER:PROTOCOL, the older form. IPv6 addresses stand in brackets.
    static Result<PortMapping> parse(std::string_view text);
    // In the form that parse() takes: 127.0.0.1:8080:80/tcp.
    std::string to_string() const;
    // Whether both ask for the same port of the same address.
    bool overlaps(const PortMapping& other) const;
    // What it takes of the host, for messages: 127.0.0.1:8080/tcp.
    std::string host_side() const;
    bool operator==(const PortMapping&) const = default;
};

std::string_view protocol_name(PortProtocol protocol);

}  // namespace raind
