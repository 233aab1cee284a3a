// The usual world of the cases and short ways to write rules, packets and expectations.
#pragma once

#include "tests/bpf/cases.h"

namespace raind::testing {

inline constexpr std::size_t kWeb = 0;   // fast path
inline constexpr std::size_t kDb = 1;    // fast path
inline constexpr std::size_t kSlow = 2;  // not on the fast path
inline constexpr std::uint32_t kWebId = 300;
inline constexpr std::uint32_t kDbId = 301;
inline constexpr std::uint32_t kSlowId = 302;
inline constexpr std::uint32_t kNetClass = RAIND_ID_CIDR + 1;   // 198.51.100.0/24
inline constexpr std::uint32_t kHostClass = RAIND_ID_CIDR + 2;  // 198.51.100.7/32
inline constexpr std::uint32_t kNet6Class = RAIND_ID_CIDR + 3;  // 2001:db8:1::/64

struct Node {
    MacAddress mac;
    IpAddress ip4;
    IpAddress ip6;
    const IpAddress& of(int family) const { return family == 4 ? ip4 : ip6; }
};

Node web();
Node db();
Node slow();
Node gateway();
Node outside();  // no MAC of its own
Node host();     // an address of the host on its uplink

// A compiled set by hand; every mask allows every kind of class.
class Rules {
  public:
    explicit Rules(core::NsMode mode = core::NsMode::Observe);
    Rules& allow(std::uint32_t source, std::uint32_t destination, std::uint8_t proto,
                 std::uint16_t port, std::uint32_t rule, std::uint32_t priority = 100);
    Rules& deny(std::uint32_t source, std::uint32_t destination, std::uint8_t proto,
                std::uint16_t port, std::uint32_t rule, std::uint32_t priority = 100);
    // A block of ports: `mask` has ones where the port counts.
    Rules& block(std::uint32_t source, std::uint32_t destination, std::uint8_t proto,
                 std::uint16_t port, std::uint16_t mask, std::uint32_t rule);
    Rules& flags(std::uint8_t value);  // of the last rule
    Rules& host_to_container(bool allowed);
    Rules& no_identity(std::uint32_t identity);
    core::CompiledSet done(std::uint64_t revision = 1) const;

  private:
    Rules& add(std::uint32_t source, std::uint32_t destination, std::uint8_t proto,
               std::uint16_t port, std::uint16_t mask, std::uint32_t rule, std::uint32_t priority,
               core::RuleAction action);
    core::CompiledSet set_;
};

World world(std::vector<core::CompiledSet> sets);
World world(const Rules& rules);

// A frame of a container, addressed to the gateway's MAC as everything is.
PacketBuilder frame(const Node& from, const Node& to, int family);
// A frame of the host to a container.
PacketBuilder host_frame(const Node& from, const Node& to, int family);

Expected drop(std::uint32_t reason, std::uint32_t event = RAIND_EV_DENY, std::uint32_t rule = 0);
// A TCP segment that is refused: reset.
Expected reset(std::uint32_t reason, std::uint32_t rule = 0, std::uint32_t event = RAIND_EV_DENY);
Expected allow(Outcome outcome, std::uint32_t rule,
               std::uint32_t reason = RAIND_R_POLICY);  // NEW, with a flow
Expected known(Outcome outcome);                        // packet of a flow
Expected answered();
Expected passed(std::uint32_t reason);

Step from(std::size_t port, std::string name, Bytes packet, Expected expected);
Step to(std::size_t port, std::string name, Bytes packet, Expected expected,
        std::uint32_t mark = 0);
Step after(Step step, Before before, std::uint64_t number = 0);
Step forwarded(Step step);

// One case with one step of `web`.
Case single(std::string group, std::string name, const World& w, Bytes packet, Expected expected);

void add_transport_cases(std::vector<Case>& out);
void add_icmp_cases(std::vector<Case>& out);
void add_link_cases(std::vector<Case>& out);
void add_header_cases(std::vector<Case>& out);
void add_address_cases(std::vector<Case>& out);
void add_policy_cases(std::vector<Case>& out);
void add_flow_cases(std::vector<Case>& out);
void add_inbound_cases(std::vector<Case>& out);
void add_published_cases(std::vector<Case>& out);

}  // namespace raind::testing
