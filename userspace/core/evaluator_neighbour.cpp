// ARP and neighbour discovery of the evaluator: sections 5.6, 5.10, 6.2 of the datapath design.
#include <algorithm>

#include "userspace/core/evaluator_work.h"

namespace raind::core {

namespace {

using Frame = std::span<const std::uint8_t>;

constexpr std::size_t kArpSize = 28;
constexpr std::size_t kNdSize = 24;        // without option
constexpr std::size_t kNdOptionSize = 32;  // with one link-layer address
constexpr std::uint8_t kRouterSolicitation = 133;
constexpr std::uint8_t kSolicitation = 135;
constexpr std::uint8_t kAdvertisement = 136;
constexpr std::uint8_t kTargetLinkAddress = 2;
constexpr std::uint8_t kNdHopLimit = 255;

MacAddress load_mac(Frame frame, std::size_t at) {
    MacAddress mac;
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), 6, mac.bytes.begin());
    return mac;
}

IpAddress load_ip4(Frame frame, std::size_t at) {
    return IpAddress::v4(std::uint32_t{frame[at]} << 24 | std::uint32_t{frame[at + 1]} << 16 |
                         std::uint32_t{frame[at + 2]} << 8 | frame[at + 3]);
}

IpAddress load_ip6(Frame frame, std::size_t at) {
    IpAddress::Bytes bytes{};
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), bytes.size(), bytes.begin());
    return IpAddress(bytes);
}

bool ethernet_ipv4_arp(Frame frame) {
    constexpr std::array<std::uint8_t, 6> head{0, 1, 8, 0, 6, 4};
    return std::equal(head.begin(), head.end(), frame.begin() + kEthernetSize);
}

}  // namespace

bool is_link_local(const IpAddress& address) {
    return address.bytes()[0] == 0xfe && (address.bytes()[1] & 0xc0) == 0x80;
}

MacAddress solicited_node_mac(const IpAddress& address) {
    const auto& bytes = address.bytes();
    return MacAddress{{0x33, 0x33, 0xff, bytes[13], bytes[14], bytes[15]}};
}

raind_reason Evaluator::check_arp(Work& work) const {
    const Frame frame = work.in.frame;
    const EndpointSpec& own = work.endpoint->spec;
    const std::size_t at = kEthernetSize;
    if (frame.size() < at + kArpSize || !ethernet_ipv4_arp(frame) || own.ip4.is_zero())
        return RAIND_R_ARP;
    const unsigned operation = frame[at + 6] << 8 | frame[at + 7];
    const IpAddress sender = load_ip4(frame, at + 14);
    const IpAddress target = load_ip4(frame, at + 24);
    // The record of a refusal says who was claimed and who was asked for.
    work.packet.source = sender;
    work.packet.destination = target;
    if (load_mac(frame, at + 8) != own.mac)
        return RAIND_R_ARP;
    const bool probe = sender == IpAddress::v4(0);
    if (operation == 1) {
        if (probe || (sender == own.ip4 && target == own.ip4))
            return RAIND_R_QUIET;
        if (sender != own.ip4)
            return RAIND_R_ARP;
        work.delivery = Delivery::Answer;
        return RAIND_R_ANSWERED;
    }
    if (operation != 2 || sender != own.ip4)
        return RAIND_R_ARP;
    if (target == own.ip4)
        return RAIND_R_QUIET;
    if (load_mac(frame, at + 18) != own.gateway_mac ||
        work.packet.destination_mac != own.gateway_mac)
        return RAIND_R_ARP;
    work.delivery = Delivery::Pass;
    return RAIND_R_NEIGHBOUR;
}

raind_reason Evaluator::check_neighbour(Work& work) const {
    const Packet& packet = work.packet;
    const EndpointSpec& own = work.endpoint->spec;
    const Frame frame = work.in.frame;
    // Every host asks for routers when its interface comes up; nobody answers here.
    work.silent = packet.icmp_type == kRouterSolicitation;
    const std::size_t size = packet.end - packet.transport;
    const bool known = packet.icmp_type == kSolicitation || packet.icmp_type == kAdvertisement;
    const bool plain = packet.transport == kEthernetSize + 40;  // no extension headers
    if (!known || packet.icmp_code != 0 || packet.hop_limit != kNdHopLimit || !plain ||
        own.ip6.is_zero() || (size != kNdSize && size != kNdOptionSize))
        return RAIND_R_NDP;
    const IpAddress target = load_ip6(frame, packet.transport + 8);
    if (packet.icmp_type == kSolicitation)
        return solicitation(work, target);
    if (packet.source != own.ip6)
        return RAIND_R_SRC_IP;
    const std::size_t option = packet.transport + kNdSize;
    const bool own_link = size == kNdOptionSize && frame[option] == kTargetLinkAddress &&
                          frame[option + 1] == 1 && load_mac(frame, option + 2) == own.mac;
    const auto to = host_.find(packet.destination);
    const bool to_gateway =
        packet.destination_mac == own.gateway_mac && to != host_.end() && to->second;
    if (target != own.ip6 || !own_link || !to_gateway)
        return RAIND_R_NDP;
    work.delivery = Delivery::Pass;
    work.stamp = RAIND_STAMP_TO_HOST;
    return RAIND_R_NEIGHBOUR;
}

raind_reason Evaluator::solicitation(Work& work, const IpAddress& target) const {
    const IpAddress& own = work.endpoint->spec.ip6;
    const IpAddress& source = work.packet.source;
    if (source.is_zero())
        return RAIND_R_QUIET;  // duplicate address detection: nobody else has it
    // A link-local source claims nothing: the answer goes back to the port that asked.
    if (source != own && !is_link_local(source))
        return RAIND_R_SRC_IP;
    if (target.bytes()[0] == 0xff)
        return RAIND_R_NDP;
    if (target == own)
        return RAIND_R_QUIET;
    work.delivery = Delivery::Answer;
    return RAIND_R_ANSWERED;
}

// ARP and neighbour discovery towards the container: from the bridge only.
raind_reason Evaluator::neighbour_to(Work& work) const {
    const Packet& packet = work.packet;
    if (packet.ethertype == kEtherIp6) {
        const bool known = packet.icmp_type == kSolicitation || packet.icmp_type == kAdvertisement;
        const auto from = host_.find(packet.source);
        const bool gateway = from != host_.end() && from->second;
        if (!known || packet.hop_limit != kNdHopLimit ||
            (!gateway && !is_link_local(packet.source)))
            return RAIND_R_NDP;
    }
    if (packet.source_mac != work.endpoint->spec.gateway_mac)
        return RAIND_R_SPOOF;
    work.delivery = Delivery::Pass;
    return RAIND_R_NEIGHBOUR;
}

}  // namespace raind::core
