// The part of the cgroup v2 tree that belongs to this instance: <mount>/<parent>, one folder a
// container and one a shim. Any thread.
#pragma once

#include <string>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/common/fs.h"
#include "userspace/runtime/cgroup_limits.h"

namespace raind::runtime {

class CgroupTree {
  public:
    // `parent` is a path below the cgroup v2 mount, which is found in mountinfo ("/raind").
    static Result<CgroupTree> open(const std::string& parent);

    // Controllers that reach our containers; soft limits are set for these only.
    const CgroupLimits& limits() const { return limits_; }
    std::vector<std::string> warnings() const;
    // The OCI cgroupsPath of a container: below the mount.
    std::string container_path(const std::string& id) const { return parent_ + "/" + id; }
    stdfs::path container_dir(const std::string& id) const { return root_ / id; }

    Result<UniqueFd> make_shim_group(const std::string& id);
    // 0555, so that nothing makes groups beside the container's own.
    Status seal(const std::string& id);
    // Kills every member (cgroup.kill), waits until it is empty, removes it with what is below.
    // Absent is success.
    Status destroy(const std::string& name);
    Status destroy_shim_group(const std::string& id) { return destroy("shim." + id); }
    // Names of what is there: container ids and shim.<id>.
    Result<std::vector<std::string>> list() const;
    // Removes the parent itself when it is empty.
    Status remove_root();

  private:
    stdfs::path mount_;
    std::string parent_;
    stdfs::path root_;
    CgroupLimits limits_;
};

}  // namespace raind::runtime
