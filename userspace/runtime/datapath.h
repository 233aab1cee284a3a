// The container network of one instance and its enforcement, as one thing: bridge, veths, addresses
// from userspace/net, verdicts from the backend. Thread-safe: one mutex serialises every change,
// because the backend wants one caller at a time.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/core/backend.h"
#include "userspace/core/model.h"

namespace raind::runtime {

// What the manager of containers needs from the network side; implemented in network_datapath.
class Datapath {
  public:
    virtual ~Datapath() = default;

    // Everything between "the first process waits" and "its interface is up": veth down, programs,
    // maps, bridge port, peer into the namespace of the process, configuration, up. On failure
    // nothing of it is left.
    virtual Status attach(const core::ContainerRecord& container) = 0;
    // Ends the endpoint: flows, maps, programs, interface. Repeating it is success.
    virtual Status detach(const core::ContainerRecord& container) = 0;
    // Puts back what is missing of a container that is supposed to be attached.
    virtual Status repair(const core::ContainerRecord& container) = 0;
    // Looks at the port of an attached container and puts back what others changed, with an alarm.
    virtual Status verify(const core::ContainerRecord& container) = 0;
    // Removes interfaces, endpoints and pins that belong to none of these.
    virtual Status prune(const std::vector<core::ContainerRecord>& attached) = 0;

    virtual Status publish_identity(core::IdentityId identity, const std::string& name) = 0;
    virtual Result<std::vector<core::IdentityId>> identities() = 0;
    virtual Status withdraw_identity(core::IdentityId identity) = 0;
    virtual Result<core::SweepCounts> commit(const core::CompiledSet& set) = 0;
    virtual Result<core::AppliedPolicy> applied() = 0;
    virtual Result<core::BackendStatus> status() = 0;
};

}  // namespace raind::runtime
