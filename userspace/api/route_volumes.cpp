#include <array>

#include "raind/api/volume_codec.h"

#include "userspace/api/body.h"

namespace raind::api {

namespace {

using http::CallKind;
using http::Response;

Response list_volumes(RouteCall& call) {
    const auto list = call.services.volumes.list();
    if (!list.has_value())
        return failure("retrieve volume list failed: ", list.error());
    return success("retrieve volume list success", encode_list(*list));
}

Response create_volume(RouteCall& call) {
    const auto request = read_body<CreateVolumeRequest>(call);
    if (!request.has_value())
        return failure(kInvalidJson, request.error());
    call.target["volume"] = request->name;
    const auto info = call.services.volumes.create(*request);
    if (!info.has_value())
        return failure(kServiceFailed, info.error());
    call.target["volume"] = info->name;
    return success("volume created", encode(*info));
}

Response inspect_volume(RouteCall& call) {
    call.target["volume"] = call.param;
    const auto info = call.services.volumes.inspect(call.param);
    if (!info.has_value())
        return failure(kServiceFailed, info.error());
    return success("retrieve volume info success", encode(*info));
}

Response remove_volume(RouteCall& call) {
    call.target["volume"] = call.param;
    const auto done = call.services.volumes.remove(call.param);
    if (!done.has_value())
        return failure(kServiceFailed, done.error());
    return success("volume deleted", {{"name", call.param}});
}

constexpr std::array kRoutes{
    Route{"GET", "/v1/volumes", "volume.list", Severity::Information, CallKind::Short,
          Effect::Reads, list_volumes, "List the volumes of this host"},
    Route{"POST", "/v1/volumes", "volume.create", Severity::Medium, CallKind::Short,
          Effect::Changes, create_volume, "Make a volume"},
    Route{"GET", "/v1/volumes/{v}", "volume.info", Severity::Information, CallKind::Short,
          Effect::Reads, inspect_volume, "Show one volume"},
    Route{"DELETE", "/v1/volumes/{v}", "volume.delete", Severity::High, CallKind::Long,
          Effect::Changes, remove_volume, "Remove a volume that no container uses"},
};

}  // namespace

std::span<const Route> volume_routes() {
    return kRoutes;
}

}  // namespace raind::api
