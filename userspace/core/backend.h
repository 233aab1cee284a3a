// What the daemon asks of the datapath, whoever implements it: eBPF in userspace/bpf, netfilter
// later. Calls come from one thread at a time (the runtime serialises them), inside the network
// namespace of the container network. Every call is idempotent: repeating it after a crash is
// right.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/core/compiled_set.h"
#include "userspace/core/model.h"

namespace raind::core {

struct EndpointSpec {
    EndpointId ep_id = 0;
    IdentityId identity = 0;
    std::string container_id;  // 12 characters, shown by bpftool
    std::string name;          // container name, into the name map
    std::string interface;     // host end of the veth
    std::uint32_t ifindex = 0;
    std::uint32_t bridge_ifindex = 0;
    std::uint32_t net_id = 0;  // pool number
    IpAddress ip4;
    IpAddress ip6;
    MacAddress mac;
    MacAddress gateway_mac;
    std::uint16_t mtu = 1500;
    bool fast_path = true;
    std::uint32_t ct_out_limit = 16384;
    std::uint32_t ct_in_limit = 8192;
    std::uint32_t event_rate = 20000;  // records a second; burst is twice that
};

// A port of the host that stands for one of a container, on one address or on all of its family.
struct PublishedPort {
    IpAddress address;  // of the host; 0.0.0.0 and :: are every address of the family
    std::uint16_t port = 0;
    std::uint8_t protocol = 0;  // kProtoTcp, kProtoUdp
    IdentityId identity = 0;    // who is behind it
    EndpointId ep_id = 0;
    IpAddress target;
    std::uint16_t target_port = 0;
    bool operator==(const PublishedPort&) const = default;
};

struct HostAddress {
    IpAddress address;
    bool gateway = false;  // an address of one of our bridges
};

struct AppliedPolicy {
    std::uint64_t revision = 0;
    std::uint32_t generation = 0;
    std::array<std::uint8_t, 32> digest{};
};

struct SweepCounts {
    std::uint64_t walked = 0;
    std::uint64_t expired = 0;
    std::uint64_t kept = 0;
    std::uint64_t cut = 0;
};

struct PortStatus {
    std::string interface;
    bool attached = false;  // both programs
    bool first = false;     // nothing runs before ours
    std::string kind;       // tcx, clsact
};

struct BackendStatus {
    std::string name;    // ebpf
    std::string attach;  // how programs get on ports: tcx, clsact
    AppliedPolicy applied;
    std::vector<PortStatus> ports;
    std::vector<std::pair<std::string, std::uint64_t>> fill;   // map, entries
    std::vector<std::pair<std::string, std::uint64_t>> drops;  // reason, packets
    std::vector<std::pair<std::string, std::uint64_t>> lost;   // kind, events
};

class EnforcementBackend {
  public:
    virtual ~EnforcementBackend() = default;

    // The prefixes of our pools (class POOL) and the special ones; replaces what was there.
    virtual Status set_pools(std::span<const Cidr> pools) = 0;
    // Every local, broadcast and anycast address of the namespace; replaces what was there.
    virtual Status set_host_addresses(std::span<const HostAddress> addresses) = 0;

    // Every published port of the namespace; replaces what was there. True: something had to be
    // changed.
    virtual Result<bool> set_published(std::span<const PublishedPort> ports) = 0;

    // A new port, in this order (datapath design, attach): programs first, then the maps.
    virtual Status attach_port(const std::string& interface, std::uint32_t ifindex) = 0;
    virtual Status publish_endpoint(const EndpointSpec& endpoint) = 0;
    // Removal: endpoint and its flows end (END records), then the programs, then the counters.
    virtual Status withdraw_endpoint(const EndpointSpec& endpoint) = 0;
    virtual Status detach_port(const std::string& interface) = 0;
    // Whether both programs are on the port and nothing runs before them.
    virtual Result<PortStatus> port(const std::string& interface) = 0;

    // The chain of one identity in both slots; a container start that is no commit.
    virtual Status publish_identity(const CompiledIdentity& identity, const std::string& name) = 0;
    // Identities that the kernel knows, and the end of one that no container has and no rule names.
    virtual Result<std::vector<IdentityId>> identities() = 0;
    virtual Status withdraw_identity(IdentityId identity) = 0;

    virtual Result<SweepCounts> commit(const CompiledSet& set) = 0;
    virtual Result<AppliedPolicy> applied() = 0;
    // Expires flows, flushes suppressed denials, writes the heartbeat. Every two seconds.
    virtual Result<SweepCounts> sweep() = 0;

    // What the kernel holds, for reconciliation: endpoints by interface index, highest ep_id ever
    // seen.
    virtual Result<std::vector<EndpointSpec>> endpoints() = 0;
    virtual Result<EndpointId> last_endpoint_id() = 0;
    virtual Result<std::vector<std::string>> attached_interfaces() = 0;
    virtual Result<BackendStatus> status() = 0;

    // Removes every pin of this instance. Only when no container is left.
    virtual Status remove_all() = 0;
};

}  // namespace raind::core
