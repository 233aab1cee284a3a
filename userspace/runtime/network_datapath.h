// Datapath over userspace/net and an enforcement backend: the container network of one namespace.
// Backend calls run on a helper thread inside that namespace, because interface numbers mean
// something only there.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "userspace/flow/identity.h"
#include "userspace/net/monitor.h"
#include "userspace/net/network.h"
#include "userspace/netfilter/guard.h"
#include "userspace/runtime/datapath.h"
#include "userspace/runtime/port_publisher.h"
#include "userspace/store/store.h"

namespace raind::runtime {

struct NetworkOptions {
    std::string netns;  // empty: the namespace of the daemon
    std::string bridge = "raind0";
    // True in a namespace of our own, and on hosts with --manage-forwarding.
    bool manage_forwarding = false;
};

class NetworkDatapath final : public Datapath {
  public:
    // Makes what is missing: namespace, pool, bridge, guard table, address classes.
    static Result<std::unique_ptr<NetworkDatapath>> open(const NetworkOptions& options,
                                                         store::Store& store,
                                                         core::EnforcementBackend& backend,
                                                         flow::IdentityTable& identities);

    Status attach(const core::ContainerRecord& container) override;
    Status detach(const core::ContainerRecord& container) override;
    Status repair(const core::ContainerRecord& container) override;
    Status verify(const core::ContainerRecord& container) override;
    Status prune(const std::vector<core::ContainerRecord>& attached) override;
    Status publish_identity(core::IdentityId identity, const std::string& name) override;
    Result<std::vector<core::IdentityId>> identities() override;
    Status withdraw_identity(core::IdentityId identity) override;
    Result<core::SweepCounts> commit(const core::CompiledSet& set) override;
    Result<core::AppliedPolicy> applied() override;
    Result<core::BackendStatus> status() override;

    Result<net::ForwardingState> forwarding();
    // Published ports that a process of the host may have; one line for each.
    std::vector<std::string> ports_not_held();
    // Every two seconds: expiry of flows; guard table and port map put back if others changed
    // them; published ports taken that could not be had before.
    Status keep();
    // Bridge, guard, pins and namespace of an instance that has no container any more.
    Status remove_all();

  private:
    NetworkDatapath(const NetworkOptions& options, store::Store& store,
                    core::EnforcementBackend& backend, flow::IdentityTable& identities)
        : options_(options), store_(store), backend_(backend), identities_(identities) {}

    Status prepare();
    Status ensure_pool();
    Status refresh_host_addresses();
    netfilter::GuardSpec guard_spec() const;
    net::EndpointPort port_of(const core::ContainerRecord& container) const;
    core::EndpointSpec endpoint_of(const core::ContainerRecord& container,
                                   std::uint32_t ifindex) const;
    Status publish(const core::ContainerRecord& container, std::uint32_t ifindex,
                   std::uint64_t since);
    // What a container wants to be published on has to be there.
    Status check_addresses(const core::ContainerRecord& container);
    // Port map, guard table and loopback routing as publisher_ has it.
    Status apply_ports();
    Status route_loopback();
    Status open_ports(const core::ContainerRecord& container);
    Status close_ports(const core::ContainerRecord& container);
    Status keep_ports();
    Status attach_locked(const core::ContainerRecord& container);
    Status detach_locked(const core::ContainerRecord& container);
    Status repair_locked(const core::ContainerRecord& container);
    template <typename F>
    auto in_netns(F&& call) {
        return run_in_netns(network_->netns(), std::forward<F>(call));
    }

    NetworkOptions options_;
    store::Store& store_;
    core::EnforcementBackend& backend_;
    flow::IdentityTable& identities_;
    // One change of network or backend at a time; guards the four below.
    std::mutex mutex_;
    PortPublisher publisher_;
    bool ports_pending_ = false;  // the kernel has not all of what publisher_ says
    core::PoolRecord pool_;
    net::BridgeState bridge_;
    std::unique_ptr<net::Network> network_;
    std::unique_ptr<netfilter::Guard> guard_;
    std::unique_ptr<net::NetworkMonitor> monitor_;
};

}  // namespace raind::runtime
