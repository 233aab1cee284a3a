// Names of containers: what is accepted, and names made up for containers that were given none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "raind/result.h"

namespace raind::core {

inline constexpr std::size_t kMaxContainerName = 64;

// Letters, digits, `_`, `.`, `-`, beginning with a letter or digit, at most 64 characters. The
// error names the character that is wrong, printably.
Status validate_container_name(std::string_view name);

// adjective-noun-NNNN, chosen by `random` (64 fresh random bits), for example `calm-spline-0417`.
// The caller draws again while the name is taken.
std::string generated_name(std::uint64_t random);

}  // namespace raind::core
