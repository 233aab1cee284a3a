// Help pages, written from the same table as the options are parsed from.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace raind::cli {

std::string help_page(const CommandSpec& spec);
std::string group_page(const std::string& group, const std::vector<CommandSpec>& commands);
std::string main_page(const std::vector<CommandSpec>& commands);

// "container": what the group is about, one line.
std::string group_purpose(const std::string& group);

}  // namespace raind::cli
