#include "userspace/core/evaluator.h"

#include <algorithm>

#include "userspace/core/evaluator_work.h"

namespace raind::core {

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint16_t kDhcpClient = 68;
constexpr std::uint16_t kDhcpServer = 67;

bool is_vlan(std::uint16_t ethertype) {
    return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100;
}

// Never permitted by a rule, whatever addresses the host has.
bool is_special4(const IpAddress& address) {
    const std::uint32_t first = address.v4_host_order() >> 24;
    return first == 0 || first == 127 || first >= 224;
}

bool is_special6(const IpAddress& address) {
    static const std::array<Cidr, 5> special{
        Cidr::parse("ff00::/8").value(), Cidr::parse("fe80::/10").value(),
        Cidr::parse("::/96").value(), Cidr::parse("64:ff9b::/96").value(),
        // Written out: the parser takes ::ffff:0:0 for IPv4.
        Cidr::make(IpAddress::v4(0), 0).value()};
    return std::ranges::any_of(special,
                               [&](const Cidr& prefix) { return prefix.contains(address); });
}

bool wants_reset(const Packet& packet, std::uint32_t endpoint_flags, raind_reason reason) {
    if (packet.protocol != kProtoTcp || (packet.tcp_flags & kTcpRst) != 0 ||
        (endpoint_flags & RAIND_EP_NO_RESET) != 0)
        return false;
    return reason == RAIND_R_POLICY || reason == RAIND_R_DEFAULT || reason == RAIND_R_CUT ||
           reason == RAIND_R_NOT_FIRST;
}

}  // namespace

void Evaluator::set_endpoint(const EndpointSpec& endpoint, std::uint32_t flags) {
    if (endpoint.fast_path)
        flags |= RAIND_EP_FAST;
    endpoints_[endpoint.ifindex] = {endpoint, flags};
}

void Evaluator::remove_endpoint(std::uint32_t ifindex) {
    const auto it = endpoints_.find(ifindex);
    if (it == endpoints_.end())
        return;
    const EndpointId gone = it->second.spec.ep_id;
    endpoints_.erase(it);
    std::erase_if(flows_.flows(), [&](const auto& entry) {
        return entry.second.opener.endpoint == gone || entry.second.other.endpoint == gone;
    });
}

void Evaluator::set_host_addresses(std::span<const HostAddress> addresses) {
    host_.clear();
    for (const HostAddress& address : addresses)
        host_[address.address] = address.gateway;
}

void Evaluator::set_pools(std::span<const Cidr> pools) {
    pools_.assign(pools.begin(), pools.end());
}

void Evaluator::set_published(std::span<const PublishedPort> ports) {
    published_.assign(ports.begin(), ports.end());
}

void Evaluator::commit(const CompiledSet& set) {
    policy_ = std::make_unique<VerdictTable>(set);
    ++generation_;
}

raind_reason Evaluator::check_port(Work& work) const {
    const raind_reason frame = parse_ethernet(work.in.frame, work.packet);
    const auto it = endpoints_.find(work.in.ifindex);
    if (it == endpoints_.end() || it->second.spec.ep_id == 0)
        return RAIND_R_NO_ENDPOINT;
    work.endpoint = &it->second;
    work.own() = {it->second.spec.identity, it->second.spec.ep_id};
    if ((it->second.flags & RAIND_EP_QUARANTINE) != 0)
        return RAIND_R_QUARANTINE;
    if (frame != RAIND_R_NONE)
        return frame;
    if (work.in.vlan_tag || is_vlan(work.packet.ethertype))
        return RAIND_R_VLAN;
    return RAIND_R_NONE;
}

raind_reason Evaluator::check_from(Work& work) {
    const Packet& packet = work.packet;
    if (const raind_reason reason = check_port(work); reason != RAIND_R_NONE)
        return reason;
    const EndpointSpec& own = work.endpoint->spec;
    if (packet.source_mac != own.mac)
        return RAIND_R_SRC_MAC;
    if (packet.ethertype == kEtherArp)
        return check_arp(work);
    if (packet.ethertype != kEtherIp4 && packet.ethertype != kEtherIp6)
        return RAIND_R_ETHERTYPE;
    if (const raind_reason reason = parse_ip(work.in.frame, work.packet); reason != RAIND_R_NONE)
        return reason;
    work.parsed = true;
    if (packet.icmp == IcmpKind::Neighbour)
        return check_neighbour(work);
    const bool own_source = packet.source == (packet.family == 4 ? own.ip4 : own.ip6);
    // Reports of multicast listeners: every host makes them, mostly from link-local or ::.
    if (packet.icmp == IcmpKind::Listener &&
        (own_source || packet.source.is_zero() || is_link_local(packet.source)))
        return RAIND_R_QUIET;
    if (!own_source)
        return RAIND_R_SRC_IP;
    if (const raind_reason reason = find_peer(work); reason != RAIND_R_NONE)
        return reason;
    if (packet.protocol == kProtoUdp && packet.source_port == kDhcpClient &&
        packet.destination_port == kDhcpServer)
        return RAIND_R_DHCP;
    return judge_flow(work);
}

raind_reason Evaluator::check_to(Work& work) {
    const Packet& packet = work.packet;
    if (const raind_reason reason = check_port(work); reason != RAIND_R_NONE)
        return reason;
    const EndpointSpec& own = work.endpoint->spec;
    const bool mine = packet.destination_mac == own.mac;
    const bool solicited =
        packet.ethertype == kEtherIp6 && packet.destination_mac == solicited_node_mac(own.ip6);
    // The host's own multicast and broadcast is flooded to every port, and dropped without a
    // record.
    const bool group = (packet.destination_mac.bytes[0] & 1) != 0;
    if (!mine && !solicited)
        return group ? RAIND_R_QUIET : RAIND_R_NOT_MINE;
    if (packet.ethertype == kEtherArp)
        return neighbour_to(work);
    if (packet.ethertype != kEtherIp4 && packet.ethertype != kEtherIp6)
        return RAIND_R_ETHERTYPE;
    if (const raind_reason reason = parse_ip(work.in.frame, work.packet); reason != RAIND_R_NONE)
        return reason;
    work.parsed = true;
    if (packet.icmp == IcmpKind::Neighbour)
        return neighbour_to(work);
    if (!mine || packet.destination != (packet.family == 4 ? own.ip4 : own.ip6))
        return RAIND_R_NOT_MINE;
    if (const raind_reason reason = find_peer(work); reason != RAIND_R_NONE)
        return reason;
    if (const raind_reason reason = check_stamp(work); reason != RAIND_R_NONE)
        return reason;
    return judge_flow(work);
}

raind_reason Evaluator::find_peer(Work& work) const {
    const IpAddress& address = work.inbound() ? work.packet.source : work.packet.destination;
    if (work.packet.family == 4 ? is_special4(address) : is_special6(address))
        return RAIND_R_SPECIAL;
    for (const auto& [ifindex, endpoint] : endpoints_) {
        if (address != endpoint.spec.ip4 && address != endpoint.spec.ip6)
            continue;
        if ((endpoint.flags & RAIND_EP_QUARANTINE) != 0)
            return RAIND_R_QUARANTINE;
        if (endpoint.spec.ep_id == 0 || !is_workload(endpoint.spec.identity))
            return RAIND_R_NO_IDENTITY;
        work.peer() = {endpoint.spec.identity, endpoint.spec.ep_id};
        work.peer_endpoint = &endpoint;
        return RAIND_R_NONE;
    }
    if (const auto it = host_.find(address); it != host_.end()) {
        work.peer() = {it->second ? IdentityId{RAIND_ID_GATEWAY} : IdentityId{RAIND_ID_HOST}, 0};
        return work.inbound() ? RAIND_R_NONE : find_behind(work);
    }
    const auto covers = [&](const Cidr& pool) {
        return pool.is_v4() == address.is_v4() && pool.contains(address);
    };
    if (std::ranges::any_of(pools_, covers))
        return RAIND_R_SPECIAL;
    work.peer() = {RAIND_ID_WORLD, 0};
    return RAIND_R_NONE;
}

// The entry of the address itself, else that of every address of its family.
const PublishedPort* Evaluator::published_at(const Packet& packet, const IpAddress& address,
                                             std::uint16_t port) const {
    if (packet.protocol != kProtoTcp && packet.protocol != kProtoUdp)
        return nullptr;
    const PublishedPort* found = nullptr;
    const IpAddress every = address.is_v4() ? IpAddress::v4(0) : IpAddress();
    for (const PublishedPort& entry : published_) {
        if (entry.port != port || entry.protocol != packet.protocol)
            continue;
        if (entry.address == address)
            return &entry;
        if (entry.address == every)
            found = &entry;
    }
    return found;
}

// To a port of the host that stands for one of a container: judged as sent to that container.
raind_reason Evaluator::find_behind(Work& work) const {
    const Packet& packet = work.packet;
    const PublishedPort* behind = published_at(packet, packet.destination, packet.destination_port);
    if (behind == nullptr)
        return RAIND_R_NONE;
    if (behind->ep_id == 0 || !is_workload(behind->identity))
        return RAIND_R_NO_IDENTITY;
    work.destination = {behind->identity, behind->ep_id};
    work.publish = true;
    work.slow = true;
    work.behind_port = behind->target_port;
    return RAIND_R_NONE;
}

// Towards a container: who may bear this source address.
raind_reason Evaluator::check_stamp(Work& work) const {
    if (work.source.endpoint != 0)
        return (work.in.mark & RAIND_STAMP_FROM_PORT) != 0 ? RAIND_R_NONE : RAIND_R_UNSTAMPED;
    if (!is_host_class(work.source.identity) || !work.in.forwarded)
        return RAIND_R_NONE;
    if ((work.in.mark & RAIND_STAMP_FROM_PORT) != 0) {
        const PublishedPort* behind =
            published_at(work.packet, work.packet.source, work.packet.source_port);
        if (behind == nullptr || behind->ep_id == 0)
            return RAIND_R_SPOOF;
        work.source = {behind->identity, behind->ep_id};
        work.hairpin = true;
        return RAIND_R_NONE;
    }
    if ((work.in.mark & RAIND_STAMP_PUBLISHED) == 0)
        return RAIND_R_SPOOF;
    work.source.identity = RAIND_ID_WORLD;  // other software of the host masqueraded it
    return RAIND_R_NONE;
}

void Evaluator::deliver(Work& work) const {
    if (work.inbound()) {
        work.delivery = Delivery::Pass;
        return;
    }
    const EndpointSpec& own = work.endpoint->spec;
    const Endpoint* to = work.peer_endpoint;
    const bool fast = to != nullptr && !work.slow && (work.endpoint->flags & RAIND_EP_FAST) != 0 &&
                      (to->flags & RAIND_EP_FAST) != 0 &&
                      work.packet.size <= std::size_t{to->spec.mtu} + kEthernetSize;
    if (fast) {
        work.delivery = Delivery::Redirect;
        return;
    }
    if (own.bridge_ifindex == 0)
        return;
    work.delivery = Delivery::ToHost;
    work.stamp =
        is_host_class(work.destination.identity) ? RAIND_STAMP_TO_HOST : RAIND_STAMP_FROM_PORT;
}

// The first denial of a key makes a record, then one a second (special destinations: one a minute
// for the endpoint).
void Evaluator::record_denial(Work& work) {
    DenyKey key{.endpoint = work.endpoint == nullptr ? 0 : work.endpoint->spec.ep_id,
                .address = {},
                .port = 0,
                .protocol = 0,
                .reason = work.reason};
    std::uint64_t interval = kSecond;
    if (work.reason == RAIND_R_SPECIAL) {
        interval = 60 * kSecond;
    } else if (work.reason == RAIND_R_NO_ENDPOINT) {
        key.port = work.in.ifindex;
    } else {
        const Packet& packet = work.packet;
        key.address = work.inbound() ? packet.source : packet.destination;
        key.port = packet.icmp == IcmpKind::None ? packet.destination_port : packet.policy_port;
        key.protocol = packet.protocol;
    }
    const auto it = denials_.find(key);
    if (it != denials_.end() && now_ < it->second + interval)
        return;
    denials_[key] = now_;
    work.event = RAIND_EV_DENY;
}

Judgement Evaluator::judge(const PacketIn& in) {
    Work work{.in = in};
    work.reason = work.inbound() ? check_to(work) : check_from(work);
    if (work.permitted)
        deliver(work);
    else if (work.delivery == Delivery::Drop && work.reason != RAIND_R_QUIET &&
             work.reason != RAIND_R_CUT && !work.silent)
        record_denial(work);
    if (work.delivery == Delivery::Drop && !work.inbound() && work.endpoint != nullptr &&
        wants_reset(work.packet, work.endpoint->flags, work.reason))
        work.delivery = Delivery::Answer;
    Judgement result;
    result.delivery = work.delivery;
    result.reason = work.reason;
    result.event = work.event;
    result.rule = work.rule;
    result.match_class = work.match_class;
    result.source = work.source;
    result.destination = work.destination;
    result.stamp = work.stamp;
    result.flow = work.parsed && flows_.find(flow_key(work.packet).key) != nullptr;
    return result;
}

}  // namespace raind::core
