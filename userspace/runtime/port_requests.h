// The ports of a create request: reading them, and who has them already. Pure.
#pragma once

#include <string>
#include <vector>

#include "raind/api/types.h"
#include "raind/result.h"

#include "userspace/core/model.h"

namespace raind::runtime {

inline constexpr std::size_t kMaxPorts = 256;  // of one container

Result<std::vector<PortMapping>> checked_ports(const std::vector<std::string>& texts);
// Conflict, naming the container that has one of them; running or not, it has it until removal.
Status check_ports_free(const std::vector<PortMapping>& ports,
                        const std::vector<core::ContainerRecord>& others);
std::vector<api::PortForward> forwards_of(const std::vector<PortMapping>& ports);

}  // namespace raind::runtime
