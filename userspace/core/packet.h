// A frame taken apart as the datapath does it: with real lengths, and nothing that a receiver could
// read differently. Pure; the evaluator's eyes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "raind/abi/enums.h"

#include "userspace/common/addr.h"

namespace raind::core {

inline constexpr std::size_t kEthernetSize = 14;
inline constexpr std::uint16_t kEtherArp = 0x0806;
inline constexpr std::uint16_t kEtherIp4 = 0x0800;
inline constexpr std::uint16_t kEtherIp6 = 0x86dd;

inline constexpr std::uint8_t kProtoIcmp = 1;
inline constexpr std::uint8_t kProtoTcp = 6;
inline constexpr std::uint8_t kProtoUdp = 17;
inline constexpr std::uint8_t kProtoIcmp6 = 58;
inline constexpr std::uint8_t kProtoSctp = 132;

inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpPsh = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;
inline constexpr std::uint8_t kTcpUrg = 0x20;

enum class IcmpKind { None, Request, Reply, Error, Neighbour, Listener, Other };

struct Packet {
    std::size_t size = 0;  // of the frame
    MacAddress source_mac;
    MacAddress destination_mac;
    std::uint16_t ethertype = 0;
    // IP, from here on
    int family = 0;  // 4, 6
    IpAddress source;
    IpAddress destination;
    std::uint8_t protocol = 0;
    std::uint8_t hop_limit = 0;
    std::size_t transport = 0;  // offset of the transport header in the frame
    std::size_t end = 0;        // of the IP packet in the frame
    // Ports of the flow: an ICMP request has (identifier, 0), its reply (0, identifier), other
    // ICMP (0, type * 256 + code).
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint16_t policy_port = 0;  // destination port, or type * 256 + code
    std::uint8_t tcp_flags = 0;
    std::uint8_t icmp_type = 0;
    std::uint8_t icmp_code = 0;
    IcmpKind icmp = IcmpKind::None;
};

// Each fills its part of `packet` and gives RAIND_R_NONE, or the reason why the frame cannot be
// judged.
raind_reason parse_ethernet(std::span<const std::uint8_t> frame, Packet& packet);
// After parse_ethernet said IPv4 or IPv6.
raind_reason parse_ip(std::span<const std::uint8_t> frame, Packet& packet);

}  // namespace raind::core
