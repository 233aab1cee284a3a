// Limits of a container: what may be asked for, and what is written into its bundle. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "raind/api/types.h"
#include "raind/result.h"

#include "userspace/core/model.h"
#include "userspace/runtime/cgroup_limits.h"

namespace raind::runtime {

// `processors` of this host bound what --cpus may say.
Result<core::ResourceLimits> checked_limits(const api::CreateContainerRequest& request,
                                            unsigned processors);

// A limit that was asked for and cannot be set here is an error; a default is left out.
Status check_controllers(const core::ResourceLimits& limits, const CgroupLimits& there);

// linux.resources of config.json.
nlohmann::json make_resources(const core::ResourceLimits& limits, const CgroupLimits& there);

// Limits and AppArmor profile as a written config.json has them.
void describe_bundle(const nlohmann::json& config, api::ContainerInfo& info);

}  // namespace raind::runtime
