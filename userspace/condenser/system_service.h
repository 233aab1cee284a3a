// What this instance is and whether its host offers what it needs.
#pragma once

#include <string>

#include "userspace/core/services.h"
#include "userspace/net/network.h"
#include "userspace/runtime/apparmor.h"
#include "userspace/runtime/cgroup.h"
#include "userspace/runtime/network_datapath.h"
#include "userspace/runtime/policy_manager.h"
#include "userspace/store/store.h"

namespace raind::condenser {

struct SystemDeps {
    store::Store& store;
    runtime::NetworkDatapath& datapath;
    runtime::PolicyManager& policies;
    const runtime::CgroupTree& cgroups;
    const runtime::AppArmor& apparmor;
};

class System final : public core::SystemService {
  public:
    explicit System(SystemDeps deps);
    void set_management(std::string address) { management_ = std::move(address); }
    Result<api::SystemInfo> info() override;
    Result<std::vector<api::SystemCheck>> check() override;

  private:
    SystemDeps deps_;
    std::string management_;
    std::string started_at_;
};

}  // namespace raind::condenser
