// The container's folder in the cgroup v2 hierarchy: membership, limits, kill, removal. The v2
// mount is found in mountinfo, so a hybrid host works with whatever controllers its v2 side has.
#pragma once

#include <string>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "droplet/log.h"
#include "droplet/spec.h"

namespace raind::droplet {

struct Cgroup {
    std::string path;               // absolute, below the mount
    std::vector<std::string> made;  // folders that create made, outermost first
    UniqueFd fd;
};

// Where cgroup2 is mounted with its whole tree; NotFound when it is nowhere.
Result<std::string> cgroup2_mount();

// The absolute folder that `cgroupsPath` means; `id` where none is given.
Result<std::string> cgroup_folder(const std::string& mount, const std::string& cgroups_path,
                                  const std::string& id);

// Makes the folder and sets the limits of the configuration. A limit that cannot be set is an
// error that names its key, or a warning when the configuration says that limits are soft.
// `made` of the argument is filled as folders appear, also when the call fails.
Status create_cgroup(const Spec& spec, const std::string& id, Logger& log, Cgroup& cgroup);

// Kills every process of the cgroup and of those below it. Absent is success.
Status kill_cgroup(const std::string& path);
// Removes the cgroup with those below it, waiting a bounded time for members to end, then the
// parents that create made, where they are empty.
Status remove_cgroup(const std::string& path, const std::vector<std::string>& made);
// The v2 cgroup of a process as a folder.
Result<std::string> cgroup_of(int pid);
Status join_cgroup(const std::string& path, int pid);
// memory.events oom_kill; 0 where there is no memory controller.
long oom_kills(const std::string& path);

// Attaches the device rules of the configuration to the cgroup.
Status attach_device_rules(const std::vector<DeviceRule>& rules, int cgroup);

}  // namespace raind::droplet
