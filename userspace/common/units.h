// Durations ("90s", "10m", "1h30m", "7d") and sizes ("512m", "1.5g", plain bytes) as people write
// them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "raind/result.h"

namespace raind {

Result<std::chrono::milliseconds> parse_duration(std::string_view text);
Result<std::uint64_t> parse_size(std::string_view text);

// A decimal number within [low, high]; `what` names the value in the error.
Result<std::int64_t> parse_number(std::string_view text, std::int64_t low, std::int64_t high,
                                  std::string_view what);

}  // namespace raind
