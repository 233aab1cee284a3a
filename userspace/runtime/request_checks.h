// Checks that requests to create, to execute and to make a volume have in common. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

namespace raind::runtime {

// Arguments as execve(2) takes them: bounded, without NUL bytes.
Status check_words(const std::vector<std::string>& words, std::string_view what);
// KEY=VALUE each.
Status check_env(const std::vector<std::string>& env);
Status check_labels(const std::map<std::string, std::string>& labels);

}  // namespace raind::runtime
