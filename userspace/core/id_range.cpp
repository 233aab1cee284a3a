#include "userspace/core/id_range.h"

#include <algorithm>
#include <map>

namespace raind::core {

Result<RangeAllocation> next_id_range(const IdRangePlan& plan,
                                      std::span<const RangeAllocation> allocations,
                                      std::string_view container_id) {
    std::map<std::uint32_t, const RangeAllocation*> by_first;
    for (const RangeAllocation& allocation : allocations) {
        if (allocation.container_id == container_id)
            return allocation;
        by_first.emplace(allocation.range.first, &allocation);
    }
    RangeAllocation chosen;
    chosen.container_id = container_id;
    const RangeAllocation* oldest = nullptr;
    for (std::uint32_t index = 0; index < plan.count; ++index) {
        const IdRange range{plan.first + index * plan.size, plan.size};
        const auto it = by_first.find(range.first);
        if (it == by_first.end()) {
            chosen.range = range;
            return chosen;
        }
        if (!it->second->container_id.empty())
            continue;
        if (oldest == nullptr || it->second->released_at < oldest->released_at)
            oldest = it->second;
    }
    if (oldest == nullptr)
        return Error(Errc::Exhausted, "no id range is left for a container");
    chosen.range = oldest->range;
    return chosen;
}

RangeAllocation released(RangeAllocation allocation, WallTime now) {
    allocation.container_id.clear();
    allocation.released_at = now;
    return allocation;
}

}  // namespace raind::core
