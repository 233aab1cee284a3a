// Confines the process that lays out a layer to one folder: private mount, network, IPC, UTS and
// cgroup namespaces, the folder as its root, six capabilities, no_new_privs, resource limits and a
// seccomp allow list of file operations. Called once, by a process with one thread.
#pragma once

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/image/options.h"

namespace raind::image {

// Closes `folder` and gives a descriptor of it as the new root. `parent` is the process whose death
// must end this one.
Result<UniqueFd> confine_to(UniqueFd folder, int parent, const ExtractLimits& limits);

}  // namespace raind::image
