// Inside of the evaluator: what its steps share about the packet at hand. Not for other folders.
#pragma once

#include "userspace/core/evaluator.h"

namespace raind::core {

struct Evaluator::Work {
    const PacketIn& in;
    Packet packet = {};
    bool parsed = false;  // IP and transport were read to the end
    const Endpoint* endpoint = nullptr;
    const Endpoint* peer_endpoint = nullptr;
    FlowParty source = {}, destination = {};
    OrientedKey key = {};
    bool permitted = false;
    bool silent = false;   // drop without a record
    bool slow = false;     // never by redirect
    bool publish = false;  // sent to a published port of the host: the destination is behind it
    bool hairpin = false;  // answer of such a flow on its way back, with the host's address
    std::uint16_t behind_port = 0;
    Delivery delivery = Delivery::Drop;
    raind_reason reason = RAIND_R_NONE;
    std::uint32_t event = 0;
    RuleId rule = 0;
    std::uint32_t match_class = 0;
    std::uint32_t stamp = 0;

    bool inbound() const { return in.hook == Hook::ToContainer; }
    FlowParty& own() { return inbound() ? destination : source; }
    FlowParty& peer() { return inbound() ? source : destination; }
};

bool is_link_local(const IpAddress& address);
// 33:33:ff and the last three bytes of the address.
MacAddress solicited_node_mac(const IpAddress& address);

}  // namespace raind::core
