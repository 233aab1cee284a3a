// The part of the guard table that is about published ports. Pure; used by rules.cpp only.
//
// Who is translated: the outside and the host itself, always; a container, where its program has
// found the port in raind_publish, judged the packet as one to the container behind it and stamped
// it. What was translated from outside gets the stamp PUBLISHED on every packet, and only while the
// very mapping is in force: a connection that outlives its port has none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

#include "userspace/core/backend.h"

namespace raind::netfilter {

struct Stamp;

Status check_ports(const std::vector<core::PublishedPort>& ports);
// Maps from the host's port to the container's, and the sets of mappings in force.
std::string port_sets_text(const std::vector<core::PublishedPort>& ports);
// Rule of the forward hook.
std::string stamp_published_text(const std::vector<core::PublishedPort>& ports, const Stamp& stamp);
// Chains of the translation.
std::string port_chains_text(const std::vector<core::PublishedPort>& ports, const Stamp& stamp);

std::string chain_text(std::string_view name, std::string_view type, std::string_view hook,
                       int priority, std::string_view rules);

}  // namespace raind::netfilter
