#include <array>

#include "raind/api/registry_codec.h"

#include "userspace/api/body.h"

namespace raind::api {

namespace {

using http::CallKind;
using http::Response;

Response login(RouteCall& call) {
    // What the JSON parser says quotes the text, and there is a password in it.
    if (!parse_json(call.body))
        return failure(kInvalidJson, Error(Errc::InvalidArgument, "the body is not valid JSON"));
    const auto request = read_body<LoginRequest>(call);
    if (!request.has_value())
        return failure(kInvalidJson, request.error());
    call.target["registry"] = request->registry;
    call.target["username"] = request->username;
    const auto registry = call.services.images.login(*request, call.stop);
    if (!registry.has_value())
        return failure("login failed: ", registry.error());
    call.target["registry"] = *registry;
    return success("login completed", {{"registry", *registry}, {"username", request->username}});
}

Response logout(RouteCall& call) {
    call.target["registry"] = call.param;
    const auto done = call.services.images.logout(call.param);
    if (!done.has_value())
        return failure("logout failed: ", done.error());
    return success("logout completed", encode(*done));
}

constexpr std::array kRoutes{
    Route{"POST", "/v1/registries", "registry.login", Severity::High, CallKind::Long,
          Effect::Changes, login, "Keep user and password for a registry that accepts them"},
    Route{"DELETE", "/v1/registries/{r}", "registry.logout", Severity::Medium, CallKind::Short,
          Effect::Changes, logout, "Forget user and password of a registry"},
};

}  // namespace

std::span<const Route> registry_routes() {
    return kRoutes;
}

}  // namespace raind::api
