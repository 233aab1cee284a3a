// Text forms of the model's values as the tables hold them. A value that the tables should not hold
// is an error that names the row: a damaged store is refused, not guessed at.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

#include "userspace/core/model.h"

namespace raind::store {

std::string_view text_of(core::ContainerState state);
std::string_view text_of(core::PolicyChain chain);
std::string_view text_of(core::PolicyStatus status);
std::string_view text_of(core::NsMode mode);
std::string_view text_of(core::VolumeState state);
Result<core::ContainerState> container_state(std::string_view text);
Result<core::PolicyChain> policy_chain(std::string_view text);
Result<core::PolicyStatus> policy_status(std::string_view text);
Result<core::NsMode> ns_mode(std::string_view text);
Result<core::VolumeState> volume_state(std::string_view text);

// Empty text: the zero value.
std::string text_of(const IpAddress& address);
std::string text_of(const Cidr& prefix);
std::string text_of(const MacAddress& mac);
Result<IpAddress> ip_address(const std::string& text);
Result<Cidr> cidr(const std::string& text);
Result<MacAddress> mac_address(const std::string& text);

std::string json_of(const std::vector<std::string>& list);
std::string json_of(const std::map<std::string, std::string>& map);
std::string json_of(const core::ContainerOptions& options);
Result<std::vector<std::string>> string_list(const std::string& json);
Result<std::map<std::string, std::string>> string_map(const std::string& json);
Result<core::ContainerOptions> container_options(const std::string& json);

}  // namespace raind::store
