// The flow table as the datapath keeps it, in plain containers: states, idle lives, shares.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "raind/abi/enums.h"

#include "userspace/core/model.h"
#include "userspace/core/packet.h"

namespace raind::core {

// The smaller (address, port) is `a`, so that both directions give one key.
struct FlowKey {
    IpAddress a, b;
    std::uint16_t port_a = 0, port_b = 0;
    std::uint8_t protocol = 0;
    // Type and code of the ICMP request, and whether b sent it: raind_ctkey.
    std::uint8_t icmp_type = 0, icmp_code = 0;
    bool icmp_from_b = false;
    auto operator<=>(const FlowKey&) const = default;
};

struct FlowParty {
    IdentityId identity = 0;
    EndpointId endpoint = 0;  // 0: not a container
    bool operator==(const FlowParty&) const = default;
};

struct Flow {
    FlowParty opener, other;
    IpAddress opener_address, other_address;
    std::uint8_t protocol = 0;
    bool opener_is_b = false;
    bool inbound = false;  // opened towards a container by host or outside
    bool slow = false;     // never by redirect
    bool published = false;
    bool audit = false;
    std::uint32_t endpoint_flags = 0;  // of the port where it was opened
    std::uint32_t generation = 0;      // that permitted it last
    RuleId rule = 0;
    std::uint32_t match_class = 0;
    std::uint16_t policy_port = 0;
    raind_flow_state state = RAIND_CT_NEW;
    bool replied = false;
    bool fin[2] = {};  // seen from the opener, from the other side
    bool rst = false;
    std::uint64_t last = 0;  // ns
};

// The packet's key, and whether its source is `b`.
struct OrientedKey {
    FlowKey key;
    bool source_is_b = false;
};
OrientedKey flow_key(const Packet& packet);

// How long a flow may be idle, ns.
std::uint64_t idle_life(std::uint8_t protocol, raind_flow_state state);
// The flow after one more of its packets at time `now`.
void advance_flow(Flow& flow, const Packet& packet, bool reply, std::uint64_t now);

class FlowTable {
  public:
    explicit FlowTable(std::uint32_t capacity) : capacity_(capacity) {}

    Flow* find(const FlowKey& key);
    void insert(const FlowKey& key, const Flow& flow) { flows_[key] = flow; }
    void erase(const FlowKey& key) { flows_.erase(key); }
    bool full() const { return size() >= capacity_; }
    std::size_t size() const { return flows_.size() + foreign_; }
    std::map<FlowKey, Flow>& flows() { return flows_; }
    const std::map<FlowKey, Flow>& flows() const { return flows_; }
    // Entries of nobody that take up room.
    void add_foreign(std::uint64_t count) { foreign_ += count; }

    // Whether the endpoint may have one more flow in this direction.
    bool has_share(EndpointId endpoint, bool inbound, std::uint32_t limit) const;

  private:
    std::map<FlowKey, Flow> flows_;
    std::uint64_t foreign_ = 0;
    std::uint32_t capacity_;
};

}  // namespace raind::core
