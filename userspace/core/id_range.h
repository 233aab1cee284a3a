// Ranges of user and group ids for containers, one each.
//
// Chosen like addresses: never-used ranges in ascending order, then the longest-released, so that
// files left behind by a gone container do not soon belong to a new one.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "raind/result.h"

#include "userspace/core/model.h"

namespace raind::core {

// What the ranges are cut from. The default lies inside the ids that systemd sets aside for
// containers; an entry for `raind` in /etc/subuid and /etc/subgid replaces it.
struct IdRangePlan {
    std::uint32_t first = 0x20000000;
    std::uint32_t size = 65'536;
    std::uint32_t count = 4'096;
};

// The range for `container_id`; the same again when it holds one. `allocations` include released
// ones.
Result<RangeAllocation> next_id_range(const IdRangePlan& plan,
                                      std::span<const RangeAllocation> allocations,
                                      std::string_view container_id);
RangeAllocation released(RangeAllocation allocation, WallTime now);

}  // namespace raind::core
