// EndpointMaps: who is behind which port and address: raind_ep, raind_addr, raind_pool,
// raind_publish, raind_quota, raind_epstat and the name maps. Every call is idempotent. One thread;
// interface names are looked up in the calling thread's network namespace.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/bpf/datapath.h"
#include "userspace/core/backend.h"

namespace raind::bpf {

class EndpointMaps {
  public:
    explicit EndpointMaps(const Datapath& datapath) : datapath_(datapath) {}

    // Share and counters first, then the port, then the addresses: nothing is found half-made.
    Status publish(const core::EndpointSpec& endpoint, std::uint32_t flags = 0) const;
    // Addresses and port: from here on nothing reaches or leaves it.
    Status withdraw(const core::EndpointSpec& endpoint) const;
    // Share and counters, after its flows have ended.
    Status forget(core::EndpointId ep_id) const;

    Status set_pools(std::span<const Cidr> pools) const;
    Status set_host_addresses(std::span<const core::HostAddress> addresses) const;
    // True: something had to be changed.
    Result<bool> set_published(std::span<const core::PublishedPort> ports) const;
    // For people who dump maps: no program reads it, so a failure is logged and nothing else.
    void set_identity_name(core::IdentityId identity, const std::string& name) const;
    Status set_rule_names(std::span<const core::RuleInfo> table) const;

    Result<std::vector<core::EndpointSpec>> endpoints() const;
    // The highest number that any map mentions.
    Result<core::EndpointId> last_id() const;

  private:
    Status publish_address(const core::EndpointSpec& endpoint, const IpAddress& address,
                           std::uint32_t flags) const;
    Status withdraw_address(const core::EndpointSpec& endpoint, const IpAddress& address) const;

    const Datapath& datapath_;
};

}  // namespace raind::bpf
