// What stands in an open folder.
#pragma once

#include <string>
#include <vector>

#include "raind/result.h"

namespace raind {

// Without "." and "..", in the order of the file system; the descriptor stays the caller's and may
// be used further. A folder that cannot be read to its end is an error, not a shorter one.
Result<std::vector<std::string>> names_in(int folder);

}  // namespace raind
