// The capability set of a container: the default 13, changed by --cap-add and --cap-drop.
#pragma once

#include <string>
#include <vector>

#include "raind/result.h"

namespace raind::runtime {

// Names with CAP_ in front, sorted. `add` and `drop` take names with or without CAP_, any case, and
// ALL; an unknown name is an error that says it.
Result<std::vector<std::string>> container_capabilities(const std::vector<std::string>& add,
                                                        const std::vector<std::string>& drop);

}  // namespace raind::runtime
