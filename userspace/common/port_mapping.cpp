#include "userspace/common/port_mapping.h"

#include <charconv>
#include <fmt/format.h>
#include <vector>

#include "userspace/common/text.h"

namespace raind {

namespace {

Error malformed(std::string_view text) {
    return {Errc::InvalidArgument, fmt::format("invalid -p,--publish format: {}, required format: "
                                               "[ADDRESS:]HOST:CONTAINER[/PROTOCOL]",
                                               printable(text))};
}

Error refused(std::string_view text, std::string_view why) {
    return {Errc::InvalidArgument, fmt::format("cannot publish {}: {}", printable(text), why)};
}

std::optional<std::uint16_t> port_of(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port == 0)
        return std::nullopt;
    return port;
}

std::optional<PortProtocol> protocol_of(std::string_view text) {
    if (text == "tcp")
        return PortProtocol::Tcp;
    if (text == "udp")
        return PortProtocol::Udp;
    return std::nullopt;
}

std::vector<std::string_view> parts_of(std::string_view text) {
    std::vector<std::string_view> out;
    while (true) {
        const auto colon = text.find(':');
        out.push_back(text.substr(0, colon));
        if (colon == std::string_view::npos)
            return out;
        text.remove_prefix(colon + 1);
    }
}

// Why nobody could reach a port on this address; empty: it can be published.
std::string_view useless(const IpAddress& address) {
    static const Cidr multicast4 = Cidr::parse("224.0.0.0/4").value();
    static const Cidr multicast6 = Cidr::parse("ff00::/8").value();
    static const Cidr link_local = Cidr::parse("fe80::/10").value();
    if (address == IpAddress::parse("::1").value())
        return "the host cannot route from ::1 to a container; publish on 127.0.0.1 instead";
    if (multicast4.contains(address) || multicast6.contains(address) ||
        address == IpAddress::v4(0xffffffff))
        return "not the address of one host";
    if (link_local.contains(address))
        return "link-local addresses cannot be published on";
    return {};
}

// ADDRESS: in front, taken off `rest`. IPv6 is in brackets, IPv4 has dots.
Result<std::optional<IpAddress>> address_of(std::string_view& rest, std::string_view text) {
    std::string_view written;
    if (rest.starts_with('[')) {
        const auto close = rest.find("]:");
        if (close == std::string_view::npos)
            return malformed(text);
        written = rest.substr(1, close - 1);
        rest.remove_prefix(close + 2);
        if (written.find(':') == std::string_view::npos)
            return malformed(text);
    } else {
        const auto colon = rest.find(':');
        if (colon == std::string_view::npos || rest.substr(0, colon).find('.') == rest.npos)
            return std::optional<IpAddress>();
        written = rest.substr(0, colon);
        rest.remove_prefix(colon + 1);
    }
    const auto address = IpAddress::parse(written);
    if (!address)
        return malformed(text);
    if (const auto why = useless(*address); !why.empty())
        return refused(text, why);
    return std::optional(*address);
}

std::string front(const std::optional<IpAddress>& address) {
    if (!address)
        return {};
    return address->is_v4() ? address->to_string() + ":" : "[" + address->to_string() + "]:";
}

}  // namespace

Result<PortMapping> PortMapping::parse(std::string_view text) {
    PortMapping out;
    std::string_view rest = text;
    RAIND_TRY(out.address, address_of(rest, text));
    std::string_view protocol = "tcp";
    const auto slash = rest.find('/');
    auto parts = parts_of(rest.substr(0, slash));
    if (slash != std::string_view::npos) {
        protocol = rest.substr(slash + 1);
    } else if (parts.size() == 3) {
        protocol = parts[2];
        parts.pop_back();
    }
    if (parts.size() != 2)
        return malformed(text);
    const auto host = port_of(parts[0]);
    const auto container = port_of(parts[1]);
    const auto known = protocol_of(protocol);
    if (!host || !container)
        return malformed(text);
    if (!known)
        return refused(text, "the protocol is tcp or udp");
    out.host = *host;
    out.container = *container;
    out.protocol = *known;
    return out;
}

std::string_view protocol_name(PortProtocol protocol) {
    return protocol == PortProtocol::Udp ? "udp" : "tcp";
}

std::string PortMapping::host_side() const {
    return fmt::format("{}{}/{}", front(address), host, protocol_name(protocol));
}

std::string PortMapping::to_string() const {
    return fmt::format("{}{}:{}/{}", front(address), host, container, protocol_name(protocol));
}

bool PortMapping::overlaps(const PortMapping& other) const {
    if (host != other.host || protocol != other.protocol)
        return false;
    if (!address || !other.address)
        return true;
    if (address->is_v4() != other.address->is_v4())
        return false;
    const IpAddress every = address->is_v4() ? IpAddress::v4(0) : IpAddress();
    return *address == every || *other.address == every || *address == *other.address;
}

}  // namespace raind
