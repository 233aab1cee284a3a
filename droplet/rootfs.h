// Builds the container's root file system from inside its namespaces: runs in the container's
// first process only, on descriptors that the privileged side has prepared. Every path of the
// configuration is resolved inside the root.
#pragma once

#include <map>
#include <string>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "droplet/spec.h"

namespace raind::droplet {

class RootSetup {
  public:
    RootSetup(const Spec& spec, std::map<std::string, UniqueFd> prepared)
        : spec_(spec), prepared_(std::move(prepared)) {}

    // Attaches the root, then all mounts, devices and links below it.
    Status build();
    // Makes it the root of this process; the old one is gone afterwards.
    Status pivot();
    // Masked and read-only paths, read-only root, propagation: after the last hook.
    Status seal();

  private:
    Status attach_root();
    Status mount_entry(std::size_t index);
    Result<UniqueFd> make_mount(const Mount& entry, int target);
    Status check_target(const Mount& entry, int target) const;
    Status make_devices();
    Status make_device(const Device& device);
    Status make_links();
    Status mask(const std::string& path);
    Status make_readonly(const std::string& path);
    bool in_user_namespace() const { return spec_.has_namespace("user"); }
    bool host_dev() const;

    const Spec& spec_;
    std::map<std::string, UniqueFd> prepared_;
    UniqueFd root_;
    UniqueFd empty_folder_;  // the tmpfs over masked folders; attached once, then cloned
    bool null_attached_ = false;
};

enum class TargetKind { Folder, File };
// Opens a mount point inside `root`, making what is missing. Links end inside.
Result<UniqueFd> ensure_target(int root, const std::string& path, TargetKind kind);

}  // namespace raind::droplet
