// The text form of a mount, NAME:/path[:options] or /host/path:/path[:options], and what may stand
// in it. Pure: whether a path of the host exists is not known here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

#include "userspace/core/model.h"

namespace raind::core {

inline constexpr std::size_t kMaxMounts = 128;
inline constexpr std::size_t kMaxVolumeName = 128;

// Letters, digits, `_`, `.`, `-`, beginning with a letter or digit: a name is also the name of a
// folder.
Status validate_volume_name(std::string_view name);

Result<MountRecord> parse_mount(const std::string& text);
// All mounts of a container: no target twice, parents before what lies below them.
Result<std::vector<MountRecord>> parse_mounts(const std::vector<std::string>& texts);

// Whether `path` is `folder` or lies below it; both absolute and normal.
bool is_at_or_below(std::string_view path, std::string_view folder);

}  // namespace raind::core
