// Which limits the cgroup v2 hierarchy of this host can set for our containers.
#pragma once

namespace raind::runtime {

struct CgroupLimits {
    bool memory = false;
    bool cpu = false;
    bool pids = false;
    bool swap = false;  // memory.swap.max beside memory.max
};

}  // namespace raind::runtime
