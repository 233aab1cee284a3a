// Which paths of the host may be bound into a container.
#pragma once

#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/common/fs.h"

namespace raind::runtime {

// The path with its links resolved. Refused (`invalid mount source: <p>`): what does not exist,
// what is itself a link, and what lies at, below or above a folder of the system or one of `own`,
// the folders of this instance.
Result<std::string> bind_source(const std::string& path, const std::vector<stdfs::path>& own);

}  // namespace raind::runtime
