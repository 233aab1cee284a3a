// The one table of the management API: method, path, audit action, how a call runs, and the
// function that serves it. Routing, authorisation, audit and the API description are made from it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/api/audit.h"
#include "userspace/api/http/types.h"
#include "userspace/core/services.h"

namespace raind::api {

// One call on its way through a route's function. The function may add to `target`, which goes into
// the audit record.
struct RouteCall {
    core::Services& services;
    const http::RequestHead& head;
    std::string param;  // of the {…} segment, decoded
    std::string body;
    std::stop_token stop;
    nlohmann::json target = nlohmann::json::object();
};

using RouteFunction = http::Response (*)(RouteCall&);

// Whether a call changes something: then it is refused when it cannot be audited.
enum class Effect { Reads, Changes };

struct Route {
    std::string_view method;
    std::string_view pattern;
    std::string_view action;
    Severity severity;
    http::CallKind kind;
    Effect effect;
    RouteFunction function;  // nullptr: an upgrade
    std::string_view summary;
};

std::span<const Route> container_routes();
std::span<const Route> image_routes();
std::span<const Route> registry_routes();
std::span<const Route> volume_routes();
std::span<const Route> policy_routes();
std::span<const Route> system_routes();

struct RouteMatch {
    const Route* route = nullptr;
    std::string param;
    // The path is known, with these other methods.
    std::vector<std::string_view> allowed;
};

RouteMatch find_route(std::string_view method, std::string_view path);

// Every route, in the order of the documentation.
std::vector<const Route*> all_routes();

}  // namespace raind::api
