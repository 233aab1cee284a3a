// Small things that the commands of all groups share.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/context.h"

namespace raind::cli {

// The one positional word of a command, or a usage error that names it.
Outcome<std::string> single_argument(const Parsed& parsed, const std::string& missing);
Outcome<void> no_arguments(const Parsed& parsed);

// Runs `each` for every word; goes on after a failure and gives the exit code of the whole.
Outcome<int> for_each_argument(Context& context, const Parsed& parsed, const std::string& missing,
                               const std::function<Outcome<void>(const std::string&)>& each);

// A whole number option within [low, high].
Outcome<int> number_option(const Parsed& parsed, const std::string& name, int low, int high,
                           int fallback);

// The literal line of a successful change, or its data with --format json.
void print_result(Context& context, std::string_view line, const nlohmann::json& data);

// A quoted name for messages: "web".
std::string in_quotes(std::string_view name);

}  // namespace raind::cli
