// The options of `container create` and `container run`, and the request made from them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "raind/api/types.h"

#include "cli/command.h"

namespace raind::cli {

std::vector<OptionSpec> create_options();
std::vector<RefusedOption> refused_create_options();
// -e KEY=VALUE, of exec, too. As Docker: KEY alone passes a variable on if it is set here.
Outcome<std::vector<std::string>> environment_of(const Parsed& parsed);
// -l KEY=VALUE.
Outcome<std::map<std::string, std::string>> labels_of(const Parsed& parsed);
Outcome<api::CreateContainerRequest> create_request(const Parsed& parsed,
                                                    const std::string& attempt);

}  // namespace raind::cli
