// The part of the root file system that needs the host's privileges: image layers, bind sources
// and devices become detached mounts, handed to the container's first process by descriptor.
// Nothing of it ever shows in the host's mount table.
#pragma once

#include <string>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "droplet/spec.h"

namespace raind::droplet {

struct NamedFd {
    std::string name;  // "root", "null", "mount:<index>", "device:<path>"
    UniqueFd fd;
};

// One device that every container has.
struct DefaultDevice {
    const char* path;
    unsigned major;
    unsigned minor;
};
const std::vector<DefaultDevice>& default_devices();

struct HostMountRequest {
    const Spec& spec;
    std::string bundle;
    std::string scratch;  // an own folder; something is mounted there in a private namespace
    int userns = -1;      // the container's, when it is not the host's
};
Result<std::vector<NamedFd>> prepare_host_mounts(const HostMountRequest& request);

// The overlay of the image annotation, detached. Works in a short-lived child.
Result<UniqueFd> build_layers(const ImageRoot& image, const HostMountRequest& request);

Status write_id_maps(int pid, const std::vector<IdMapping>& uids,
                     const std::vector<IdMapping>& gids);

}  // namespace raind::droplet
