#include "userspace/flow/seen.h"

#include <utility>

namespace raind::flow {

void SeenFlows::Set::insert(std::uint64_t id) {
    if (now.size() >= kGeneration) {
        before = std::move(now);
        now = {};
    }
    now.insert(id);
}

bool SeenFlows::begin(std::uint64_t flow_id) {
    if (flow_id == 0)
        return true;
    if (ended_.erase(flow_id))
        return false;
    open_.insert(flow_id);
    return true;
}

bool SeenFlows::end(std::uint64_t flow_id) {
    if (flow_id == 0 || open_.erase(flow_id))
        return false;
    ended_.insert(flow_id);
    return true;
}

}  // namespace raind::flow
