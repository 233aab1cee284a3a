// Confines the process that lays out a layer to one folder: private mount, network, IPC, UTS and
// cgroup namespaces, the folder as its root, six capabilities, no_new_privs, resource limits and a
// seccomp allow list of file operations. The layers below stay open, by mounts of their own that
// cannot be written through. Called once, by a process with one thread.
#pragma once

#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/image/options.h"

namespace raind::image {

struct ExtractFolders {
    UniqueFd layer;
    std::vector<UniqueFd> below;  // topmost first
};

// Closes the descriptors and gives new ones: of the layer as the root, of those below for reading.
// `parent` is the process whose death must end this one.
Result<ExtractFolders> confine_to(ExtractFolders folders, int parent, const ExtractLimits& limits);

}  // namespace raind::image
