#include <array>

#include "userspace/api/body.h"
#include "userspace/api/openapi.h"

namespace raind::api {

namespace {

using http::CallKind;
using http::Response;

constexpr std::size_t kMaxRecordLines = 10000;

using RecordReader = Result<std::string> (core::LogService::*)(std::size_t);

Response records(RouteCall& call, RecordReader reader) {
    // Two spaces: the published text.
    const auto lines = tail_lines_of(call, kMaxRecordLines, "invalid  tail_lines");
    if (!lines.has_value())
        return failure("", lines.error());
    if (!lines->has_value())
        return plain(200, "");
    const auto text = (call.services.logs.*reader)(**lines);
    if (!text.has_value())
        return failure("tail failed: ", text.error());
    return plain(200, *text);
}

Response netflow_log(RouteCall& call) {
    return records(call, &core::LogService::netflow);
}
Response flow_log(RouteCall& call) {
    return records(call, &core::LogService::flow);
}

Response system_info(RouteCall& call) {
    const auto info = call.services.system.info();
    if (!info.has_value())
        return failure(kServiceFailed, info.error());
    return success("system info", encode(*info));
}

Response system_check(RouteCall& call) {
    const auto checks = call.services.system.check();
    if (!checks.has_value())
        return failure(kServiceFailed, checks.error());
    return success("system check", encode_list(*checks));
}

Response api_description(RouteCall&) {
    Response response;
    response.body = openapi_text();
    return response;
}

constexpr std::array kRoutes{
    Route{"GET", "/v1/logs/netflow", "log.netflow", Severity::Information, CallKind::Short,
          Effect::Reads, netflow_log, "The last netflow records: tail_lines"},
    Route{"GET", "/v1/logs/flow", "log.flow", Severity::Information, CallKind::Short, Effect::Reads,
          flow_log, "The last ends and cuts of flows: tail_lines"},
    Route{"GET", "/v1/system/info", "system.info", Severity::Information, CallKind::Short,
          Effect::Reads, system_info, "Version, host, kernel, revision"},
    Route{"GET", "/v1/system/check", "system.check", Severity::Information, CallKind::Short,
          Effect::Reads, system_check, "What this host offers and lacks"},
    Route{"GET", "/v1/openapi.json", "system.openapi", Severity::Information, CallKind::Short,
          Effect::Reads, api_description, "This description"},
};

}  // namespace

std::span<const Route> system_routes() {
    return kRoutes;
}

}  // namespace raind::api
