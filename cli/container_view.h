// How a container is shown in the table of `container ls`. Pure.
#pragma once

#include <ctime>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "raind/api/types.h"

namespace raind::cli {

// "nginx:latest": the familiar name of an image of a container.
std::string familiar_image(const std::string& repository, const std::string& reference);
// Official images without their "library/" prefix, others whole.
std::string familiar_repository(const std::string& repository);
// Joined by spaces, cut after 20 characters with an ellipsis when it has 20 or more, quoted.
std::string command_cell(const std::vector<std::string>& command, bool cut);
// "0.0.0.0:8080->80/tcp,..." from the `forwards` of a container object.
std::string ports_cell(const nlohmann::json& container);
// When it was made, else when making it began; empty for never.
std::string created_cell(const api::ContainerInfo& container, std::time_t now);

}  // namespace raind::cli
