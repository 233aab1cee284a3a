// The oldest kernel that the programs are made for.
#pragma once

#include <string_view>

#include "raind/result.h"

namespace raind::bpf {

// `release` as uname gives it: "6.1.0-31-amd64". An error names it and what is needed.
Status require_release(std::string_view release);
// Of the kernel that runs.
Status require_kernel();

}  // namespace raind::bpf
