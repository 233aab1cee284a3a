#include "userspace/core/flow_table.h"

#include <tuple>

#include "raind/abi/base.h"

namespace raind::core {

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kLastInterval = kSecond / 10;  // `last` is written at most this often

std::uint64_t tcp_life(raind_flow_state state) {
    switch (state) {
        case RAIND_CT_NEW:
            return 20 * kSecond;
        case RAIND_CT_REPLIED:
            return 60 * kSecond;
        case RAIND_CT_EST:
            return 12 * 3600 * kSecond;
        case RAIND_CT_FIN1:
            return 120 * kSecond;
        case RAIND_CT_CLOSED:
            return 5 * kSecond;
    }
    return 0;
}

// A reset that its receiver did not believe: the flow goes on where it was.
raind_flow_state revive(Flow& flow) {
    flow.rst = false;
    if (flow.fin[0] || flow.fin[1])
        return RAIND_CT_FIN1;
    return flow.replied ? RAIND_CT_EST : RAIND_CT_NEW;
}

raind_flow_state next_tcp_state(Flow& flow, std::uint8_t flags, bool reply) {
    if ((flags & kTcpRst) != 0) {
        flow.rst = true;
        return RAIND_CT_CLOSED;
    }
    if ((flags & kTcpFin) != 0) {
        flow.fin[reply ? 1 : 0] = true;
        return flow.fin[0] && flow.fin[1] ? RAIND_CT_CLOSED : RAIND_CT_FIN1;
    }
    const bool both_fin = flow.fin[0] && flow.fin[1];
    if (flow.state == RAIND_CT_CLOSED && !both_fin)
        return revive(flow);
    if (flow.state == RAIND_CT_NEW && reply)
        return RAIND_CT_REPLIED;
    if (flow.state == RAIND_CT_REPLIED && !reply && (flags & kTcpAck) != 0)
        return RAIND_CT_EST;
    return flow.state;
}

// Replies come one after their requests, but for the echo of IPv4.
std::uint8_t request_of(std::uint8_t reply_type) {
    constexpr std::uint8_t kEcho = 8;
    return reply_type == 0 ? kEcho : static_cast<std::uint8_t>(reply_type - 1);
}

}  // namespace

OrientedKey flow_key(const Packet& packet) {
    const auto source = std::tuple(packet.source, packet.source_port);
    const auto destination = std::tuple(packet.destination, packet.destination_port);
    OrientedKey result;
    result.source_is_b = source > destination;
    const auto& [a, port_a] = result.source_is_b ? destination : source;
    const auto& [b, port_b] = result.source_is_b ? source : destination;
    result.key = {a, b, port_a, port_b, packet.protocol};
    if (packet.icmp == IcmpKind::None)
        return result;
    const bool reply = packet.icmp == IcmpKind::Reply;
    result.key.icmp_type = reply ? request_of(packet.icmp_type) : packet.icmp_type;
    result.key.icmp_code = packet.icmp_code;
    result.key.icmp_from_b = result.source_is_b != reply;
    return result;
}

std::uint64_t idle_life(std::uint8_t protocol, raind_flow_state state) {
    const bool replied = state >= RAIND_CT_REPLIED;
    switch (protocol) {
        case kProtoTcp:
            return tcp_life(state);
        case kProtoUdp:
            return (replied ? 180 : 30) * kSecond;
        case kProtoIcmp:
        case kProtoIcmp6:
            return (replied ? 30 : 15) * kSecond;
        default:
            return (replied ? 600 : 60) * kSecond;
    }
}

void advance_flow(Flow& flow, const Packet& packet, bool reply, std::uint64_t now) {
    raind_flow_state state = flow.state;
    if (packet.protocol == kProtoTcp)
        state = next_tcp_state(flow, packet.tcp_flags, reply);
    else if (reply)
        state = RAIND_CT_REPLIED;
    flow.replied = flow.replied || reply;
    if (state != flow.state || now > flow.last + kLastInterval)
        flow.last = now;
    flow.state = state;
}

Flow* FlowTable::find(const FlowKey& key) {
    const auto it = flows_.find(key);
    return it == flows_.end() ? nullptr : &it->second;
}

bool FlowTable::has_share(EndpointId endpoint, bool inbound, std::uint32_t limit) const {
    std::size_t open = 0;
    std::size_t own = 0;
    for (const auto& [key, flow] : flows_) {
        const EndpointId holder = flow.inbound ? flow.other.endpoint : flow.opener.endpoint;
        if (holder != endpoint)
            continue;
        ++own;
        if (flow.inbound == inbound)
            ++open;
    }
    const std::size_t free = size() < capacity_ ? capacity_ - size() : 0;
    return open < limit && (own < RAIND_CT_RESERVED || own - RAIND_CT_RESERVED <= free / 2);
}

}  // namespace raind::core
