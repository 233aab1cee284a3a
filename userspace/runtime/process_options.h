// Who a process in a container is and how it is stopped: the texts of users and signals. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "raind/result.h"

namespace raind::runtime {

// USER, USER:GROUP or :GROUP; names or numbers, nothing: root. Names are looked up by droplet, in
// the container's own root.
Status check_user(const std::string& text);
// process.user of config.json.
Result<nlohmann::json> make_user(const std::string& text);

// TERM, SIGTERM, 15, RTMIN+3.
Status check_signal(const std::string& text);

}  // namespace raind::runtime
