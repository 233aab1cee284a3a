#include "userspace/core/packet.h"

#include <algorithm>

namespace raind::core {

namespace {

using Frame = std::span<const std::uint8_t>;

constexpr std::size_t kIp4Size = 20;
constexpr std::size_t kIp6Size = 40;
constexpr std::size_t kTcpSize = 20;
constexpr std::size_t kUdpSize = 8;
constexpr std::size_t kSctpSize = 12;
constexpr std::size_t kIcmpSize = 8;
constexpr int kMaxExtensions = 6;

// Next-header values of IPv6 that are not transports.
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragmentHeader = 44;
constexpr std::uint8_t kAuthentication = 51;
constexpr std::uint8_t kNoNext = 59;
constexpr std::uint8_t kDestinationOptions = 60;
constexpr std::uint8_t kMobility = 135;
constexpr std::uint8_t kHip = 139;
constexpr std::uint8_t kShim6 = 140;

std::uint16_t load16(Frame frame, std::size_t at) {
    return static_cast<std::uint16_t>(frame[at] << 8 | frame[at + 1]);
}

std::uint32_t load32(Frame frame, std::size_t at) {
    return std::uint32_t{load16(frame, at)} << 16 | load16(frame, at + 2);
}

IpAddress load_ip6(Frame frame, std::size_t at) {
    IpAddress::Bytes bytes{};
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), bytes.size(), bytes.begin());
    return IpAddress(bytes);
}

raind_reason parse_ip4(Frame frame, Packet& packet) {
    const std::size_t at = kEthernetSize;
    if (frame.size() < at + kIp4Size)
        return RAIND_R_IP_HEADER;
    const std::size_t header = (frame[at] & 0x0fU) * 4U;
    const std::size_t total = load16(frame, at + 2);
    if (frame[at] >> 4 != 4 || header < kIp4Size || total < header || at + total > frame.size())
        return RAIND_R_IP_HEADER;
    if (header != kIp4Size)
        return RAIND_R_IP_OPTIONS;
    const std::uint16_t fragment = load16(frame, at + 6);
    if ((fragment & 0x8000) != 0)
        return RAIND_R_IP_HEADER;
    if ((fragment & 0x3fff) != 0)
        return RAIND_R_FRAGMENT;
    packet.family = 4;
    packet.hop_limit = frame[at + 8];
    packet.protocol = frame[at + 9];
    // ICMPv6 exists in IPv6 only; a rule for it must not open an unknown protocol here.
    if (packet.protocol == kProtoIcmp6)
        return RAIND_R_IP_HEADER;
    packet.source = IpAddress::v4(load32(frame, at + 12));
    packet.destination = IpAddress::v4(load32(frame, at + 16));
    packet.transport = at + header;
    packet.end = at + total;
    return RAIND_R_NONE;
}

bool refused_header(std::uint8_t next) {
    switch (next) {
        case kRouting:
        case kAuthentication:
        case kMobility:
        case kHip:
        case kShim6:
        case kNoNext:
        case kProtoIcmp:
            return true;
        default:
            return false;
    }
}

raind_reason walk_extensions(Frame frame, Packet& packet, std::uint8_t next) {
    for (int seen = 0;; ++seen) {
        if (next == kFragmentHeader)
            return RAIND_R_FRAGMENT;
        if (refused_header(next))
            return RAIND_R_EXT_HEADER;
        if (next != kHopByHop && next != kDestinationOptions) {
            packet.protocol = next;
            return RAIND_R_NONE;
        }
        if (seen == kMaxExtensions || (next == kHopByHop && seen != 0) ||
            packet.transport + 8 > packet.end)
            return RAIND_R_EXT_HEADER;
        next = frame[packet.transport];
        packet.transport += (frame[packet.transport + 1] + 1U) * 8U;
        if (packet.transport > packet.end)
            return RAIND_R_EXT_HEADER;
    }
}

raind_reason parse_ip6(Frame frame, Packet& packet) {
    const std::size_t at = kEthernetSize;
    if (frame.size() < at + kIp6Size)
        return RAIND_R_IP_HEADER;
    const std::size_t total = kIp6Size + load16(frame, at + 4);
    if (frame[at] >> 4 != 6 || at + total > frame.size())
        return RAIND_R_IP_HEADER;
    packet.family = 6;
    packet.hop_limit = frame[at + 7];
    packet.source = load_ip6(frame, at + 8);
    packet.destination = load_ip6(frame, at + 24);
    packet.transport = at + kIp6Size;
    packet.end = at + total;
    return walk_extensions(frame, packet, frame[at + 6]);
}

bool impossible_flags(std::uint8_t flags) {
    const auto has = [&](int mask) { return (flags & mask) == mask; };
    return flags == 0 || has(kTcpSyn | kTcpFin) || has(kTcpSyn | kTcpRst) ||
           has(kTcpFin | kTcpRst) || (has(kTcpFin | kTcpUrg | kTcpPsh) && !has(kTcpAck));
}

raind_reason parse_tcp(Frame frame, Packet& packet) {
    const std::size_t at = packet.transport;
    if (at + kTcpSize > packet.end)
        return RAIND_R_SHORT;
    const std::size_t header = (frame[at + 12] >> 4) * 4U;
    if (header < kTcpSize || at + header > packet.end)
        return RAIND_R_SHORT;
    packet.tcp_flags = frame[at + 13] & 0x3f;
    if (impossible_flags(packet.tcp_flags))
        return RAIND_R_TCP_FLAGS;
    packet.source_port = load16(frame, at);
    packet.destination_port = load16(frame, at + 2);
    packet.policy_port = packet.destination_port;
    return RAIND_R_NONE;
}

raind_reason parse_ports(Frame frame, Packet& packet) {
    const std::size_t at = packet.transport;
    const bool udp = packet.protocol == kProtoUdp;
    if (at + (udp ? kUdpSize : kSctpSize) > packet.end)
        return RAIND_R_SHORT;
    if (udp) {
        const std::size_t length = load16(frame, at + 4);
        if (length < kUdpSize || at + length > packet.end)
            return RAIND_R_SHORT;
    }
    packet.source_port = load16(frame, at);
    packet.destination_port = load16(frame, at + 2);
    packet.policy_port = packet.destination_port;
    return RAIND_R_NONE;
}

IcmpKind icmp_kind4(std::uint8_t type) {
    switch (type) {
        case 8:   // echo
        case 13:  // timestamp
        case 15:  // information
        case 17:  // address mask
            return IcmpKind::Request;
        case 0:
        case 14:
        case 16:
        case 18:
            return IcmpKind::Reply;
        case 3:
        case 4:
        case 5:
        case 11:
        case 12:
            return IcmpKind::Error;
        default:
            return IcmpKind::Other;
    }
}

IcmpKind icmp_kind6(std::uint8_t type) {
    if (type == 128)
        return IcmpKind::Request;
    if (type == 129 || type == 140)
        return IcmpKind::Reply;
    if (type >= 1 && type <= 4)
        return IcmpKind::Error;
    if (type >= 133 && type <= 137)
        return IcmpKind::Neighbour;
    if ((type >= 130 && type <= 132) || type == 143)
        return IcmpKind::Listener;
    return IcmpKind::Other;
}

raind_reason parse_icmp(Frame frame, Packet& packet) {
    const std::size_t at = packet.transport;
    if (at + kIcmpSize > packet.end)
        return RAIND_R_SHORT;
    packet.icmp_type = frame[at];
    packet.icmp_code = frame[at + 1];
    packet.icmp = packet.family == 4 ? icmp_kind4(frame[at]) : icmp_kind6(frame[at]);
    packet.policy_port = load16(frame, at);
    const std::uint16_t identifier = load16(frame, at + 4);
    if (packet.icmp == IcmpKind::Request)
        packet.source_port = identifier;
    else
        packet.destination_port = packet.icmp == IcmpKind::Reply ? identifier : packet.policy_port;
    return RAIND_R_NONE;
}

}  // namespace

raind_reason parse_ethernet(Frame frame, Packet& packet) {
    packet.size = frame.size();
    if (frame.size() < kEthernetSize)
        return RAIND_R_SHORT;
    std::copy_n(frame.begin(), 6, packet.destination_mac.bytes.begin());
    std::copy_n(frame.begin() + 6, 6, packet.source_mac.bytes.begin());
    packet.ethertype = load16(frame, 12);
    return RAIND_R_NONE;
}

raind_reason parse_ip(Frame frame, Packet& packet) {
    const raind_reason reason =
        packet.ethertype == kEtherIp4 ? parse_ip4(frame, packet) : parse_ip6(frame, packet);
    if (reason != RAIND_R_NONE)
        return reason;
    switch (packet.protocol) {
        case kProtoTcp:
            return parse_tcp(frame, packet);
        case kProtoUdp:
        case kProtoSctp:
            return parse_ports(frame, packet);
        case kProtoIcmp:
        case kProtoIcmp6:
            return parse_icmp(frame, packet);
        default:
            return RAIND_R_NONE;
    }
}

}  // namespace raind::core
