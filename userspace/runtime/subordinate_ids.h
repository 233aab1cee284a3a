// The range that container ids are cut from: an entry for `raind` in /etc/subuid and /etc/subgid,
// else the one inside the ids that systemd sets aside for containers.
#pragma once

#include <string_view>

#include "raind/result.h"

#include "userspace/core/id_range.h"

namespace raind::runtime {

// From the texts of both files. Without an entry in either the default; entries that differ, or are
// too small for one container, are an error that says so.
Result<core::IdRangePlan> plan_from(std::string_view subuid, std::string_view subgid);
Result<core::IdRangePlan> subordinate_ids();

}  // namespace raind::runtime
