// The composition root: makes every part in the order that keeps the host closed, and undoes it in
// reverse. Containers, their shims and the datapath outlive it.
#pragma once

#include <memory>
#include <stop_token>
#include <thread>

#include "userspace/api/api_server.h"
#include "userspace/bpf/backend.h"
#include "userspace/bpf/event_reader.h"
#include "userspace/condenser/log_service.h"
#include "userspace/condenser/options.h"
#include "userspace/condenser/system_service.h"
#include "userspace/flow/pipeline.h"
#include "userspace/image/image_store.h"
#include "userspace/pki/authority.h"
#include "userspace/runtime/apparmor.h"
#include "userspace/runtime/container_manager.h"
#include "userspace/runtime/image_manager.h"
#include "userspace/runtime/network_datapath.h"
#include "userspace/runtime/policy_manager.h"
#include "userspace/runtime/volume_manager.h"

namespace raind::condenser {

class Daemon {
  public:
    // Everything up and reconciled, commands accepted.
    static Result<std::unique_ptr<Daemon>> start(const Options& options);
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    const std::string& address() const { return address_; }

  private:
    explicit Daemon(const Options& options) : options_(options), paths_(options.root) {}

    Status claim() const;
    Status open_stores();
    Status open_datapath();
    Status open_containers();
    Status open_api();
    Result<pki::EnsureReport> ensure_certificates() const;
    void keep(const std::stop_token& stop);
    void read_events(const std::stop_token& stop);
    friend Status remove_instance(const Options& options);

    // In order of construction: what stands below uses what stands above.
    Options options_;
    runtime::Paths paths_;
    UniqueFd lock_;
    std::unique_ptr<store::Store> store_;
    flow::IdentityTable identities_;
    std::unique_ptr<bpf::EbpfBackend> backend_;
    std::unique_ptr<flow::Pipeline> pipeline_;
    std::unique_ptr<bpf::EventReader> reader_;
    std::unique_ptr<runtime::NetworkDatapath> datapath_;
    std::unique_ptr<runtime::CgroupTree> cgroups_;
    runtime::AppArmor apparmor_;
    std::unique_ptr<runtime::Droplet> droplet_;
    std::unique_ptr<image::ImageStore> image_files_;
    std::unique_ptr<runtime::ImageManager> images_;
    std::unique_ptr<runtime::VolumeManager> volumes_;
    std::unique_ptr<runtime::PolicyManager> policies_;
    std::unique_ptr<runtime::ContainerManager> containers_;
    std::unique_ptr<LogFiles> logs_;
    std::unique_ptr<System> system_;
    std::unique_ptr<api::ApiServer> api_;
    std::string address_;
    std::jthread event_thread_;
    std::jthread keeper_;
};

// Network, rules, programs and cgroup of an instance that has no containers; its files stay.
Status remove_instance(const Options& options);

}  // namespace raind::condenser
