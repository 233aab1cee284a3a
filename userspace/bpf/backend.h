// EbpfBackend: core::EnforcementBackend by BPF programs. Composes loading, attaching, endpoint
// maps, commit and sweep. Calls come from one thread at a time, inside the network namespace of the
// container network.
#pragma once

#include <memory>

#include "userspace/bpf/attacher.h"
#include "userspace/bpf/committer.h"
#include "userspace/bpf/datapath.h"
#include "userspace/bpf/endpoint_maps.h"
#include "userspace/bpf/sweeper.h"
#include "userspace/core/backend.h"

namespace raind::bpf {

class EbpfBackend final : public core::EnforcementBackend {
  public:
    // Loads the programs over the pins that are there. Ports that run others are left as they are
    // until attach_port repairs them.
    static Result<std::unique_ptr<EbpfBackend>> open(const LoadOptions& options,
                                                     AttachKind kind = AttachKind::Auto);

    // For the event reader, which has a thread of its own.
    const Datapath& datapath() const { return *datapath_; }

    Status set_pools(std::span<const Cidr> pools) override;
    Result<bool> set_published(std::span<const core::PublishedPort> ports) override;
    Status set_host_addresses(std::span<const core::HostAddress> addresses) override;
    Status attach_port(const std::string& interface, std::uint32_t ifindex) override;
    Status publish_endpoint(const core::EndpointSpec& endpoint) override;
    Status withdraw_endpoint(const core::EndpointSpec& endpoint) override;
    Status detach_port(const std::string& interface) override;
    Result<core::PortStatus> port(const std::string& interface) override;
    Result<std::vector<core::IdentityId>> identities() override;
    Status withdraw_identity(core::IdentityId identity) override;
    Status publish_identity(const core::CompiledIdentity& identity,
                            const std::string& name) override;
    Result<core::SweepCounts> commit(const core::CompiledSet& set) override;
    Result<core::AppliedPolicy> applied() override;
    Result<core::SweepCounts> sweep() override;
    Result<std::vector<core::EndpointSpec>> endpoints() override;
    Result<core::EndpointId> last_endpoint_id() override;
    Result<std::vector<std::string>> attached_interfaces() override;
    Result<core::BackendStatus> status() override;
    Status remove_all() override;

  private:
    EbpfBackend(std::unique_ptr<Datapath> datapath, std::unique_ptr<Sweeper> sweeper,
                Committer committer, Attachers attachers)
        : datapath_(std::move(datapath)),
          sweeper_(std::move(sweeper)),
          endpoints_(*datapath_),
          committer_(std::move(committer)),
          attacher_(std::move(attachers.used)),
          other_attacher_(std::move(attachers.other)) {}
    Result<std::vector<std::pair<std::string, std::uint64_t>>> drops() const;

    std::unique_ptr<Datapath> datapath_;
    std::unique_ptr<Sweeper> sweeper_;
    EndpointMaps endpoints_;
    Committer committer_;
    std::unique_ptr<PortAttacher> attacher_;
    std::unique_ptr<PortAttacher> other_attacher_;
};

}  // namespace raind::bpf
