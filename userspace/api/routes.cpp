#include "userspace/api/routes.h"

#include <array>

#include "userspace/api/http/head.h"
#include "userspace/common/text.h"

namespace raind::api {

namespace {

// The parameter when `path` fits; segments are split before they are decoded, so that an encoded
// slash stays inside its segment.
std::optional<std::string> match(std::string_view pattern, std::string_view path) {
    const auto want = split(pattern, '/');
    const auto have = split(path, '/');
    if (want.size() != have.size())
        return std::nullopt;
    std::string param;
    for (std::size_t i = 0; i < want.size(); ++i) {
        if (!want[i].starts_with('{')) {
            if (want[i] != have[i])
                return std::nullopt;
            continue;
        }
        auto decoded = http::percent_decode(have[i], false);
        if (!decoded || decoded->empty())
            return std::nullopt;
        param = std::move(*decoded);
    }
    return param;
}

}  // namespace

std::vector<const Route*> all_routes() {
    std::vector<const Route*> routes;
    for (const auto part : {container_routes(), image_routes(), registry_routes(), volume_routes(),
                            policy_routes(), system_routes()}) {
        for (const Route& route : part)
            routes.push_back(&route);
    }
    return routes;
}

RouteMatch find_route(std::string_view method, std::string_view path) {
    static const std::vector<const Route*> routes = all_routes();
    RouteMatch found;
    for (const Route* route : routes) {
        auto param = match(route->pattern, path);
        if (!param)
            continue;
        if (route->method == method) {
            found.route = route;
            found.param = std::move(*param);
            return found;
        }
        found.allowed.push_back(route->method);
    }
    return found;
}

}  // namespace raind::api
