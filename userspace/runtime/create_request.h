// Checks of a create request before anything is reserved.
#pragma once

#include "raind/api/types.h"
#include "raind/result.h"

#include "userspace/core/model.h"

namespace raind::runtime {

inline constexpr const char* kDefaultNetwork = "raind0";

// Refuses what is malformed or not supported, naming it; gives the options as they are kept.
Result<core::ContainerOptions> checked_options(const api::CreateContainerRequest& request);

}  // namespace raind::runtime
