#include <array>

#include "userspace/api/body.h"

namespace raind::api {

namespace {

using http::CallKind;
using http::Response;

Response list_images(RouteCall& call) {
    const auto list = call.services.images.list();
    if (!list.has_value())
        return failure("retrieve image list failed: ", list.error());
    return success("retrieve image list success", encode_list(*list));
}

Response pull_image(RouteCall& call) {
    const auto request = read_body<ImageRequest>(call);
    if (!request.has_value())
        return failure(kInvalidJson, request.error());
    call.target["image_ref"] = request->image;
    const auto done = call.services.images.pull(*request, call.stop);
    if (!done.has_value())
        return failure("pull failed: ", done.error());
    return success("pull completed", encode(*request));
}

Response remove_image(RouteCall& call) {
    const auto request = read_body<ImageRequest>(call);
    if (!request.has_value())
        return failure(kInvalidJson, request.error());
    call.target["image_ref"] = request->image;
    const auto done = call.services.images.remove(request->image);
    if (!done.has_value())
        return failure("remove failed: ", done.error());
    return success("remove completed", encode(*request));
}

Response image_status(RouteCall& call) {
    const auto image = http::query_value(call.head.query, "image");
    if (!image || image->empty())
        return failure(400, "invalid_argument", "missing image query");
    call.target["image_ref"] = *image;
    const auto info = call.services.images.status(*image);
    if (!info.has_value())
        return failure("retrieve image status failed: ", info.error());
    return success("retrieve image status success", encode(*info));
}

constexpr std::array kRoutes{
    Route{"GET", "/v1/images", "image.list", Severity::Information, CallKind::Short, Effect::Reads,
          list_images, "List the images of this host"},
    Route{"POST", "/v1/images", "image.pull", Severity::Medium, CallKind::Long, Effect::Changes,
          pull_image, "Pull an image from its registry"},
    Route{"DELETE", "/v1/images", "image.remove", Severity::High, CallKind::Short, Effect::Changes,
          remove_image, "Remove an image"},
    Route{"GET", "/v1/images/status", "image.status", Severity::Information, CallKind::Short,
          Effect::Reads, image_status, "Show one image"},
};

}  // namespace

std::span<const Route> image_routes() {
    return kRoutes;
}

}  // namespace raind::api
