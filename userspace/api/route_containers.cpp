#include <array>

#include "userspace/api/body.h"

namespace raind::api {

namespace {

using http::CallKind;
using http::Response;

constexpr std::size_t kMaxTailLines = 5000;
constexpr std::size_t kMaxTailBytes = 4U << 20;
constexpr std::size_t kDefaultTailLines = 100;

// The audit record names the container by id and name; what is not known stands as it was given.
void name_target(RouteCall& call) {
    const auto info = call.services.containers.inspect(call.param);
    if (info.has_value()) {
        call.target["container_id"] = info->container_id;
        call.target["container_name"] = info->name;
    } else {
        call.target["container_id"] = call.param;
    }
}

// The answer of every action: the container as it was given.
Response acted(const RouteCall& call, const Status& done, std::string_view message) {
    if (!done.has_value())
        return failure(kServiceFailed, done.error());
    return success(message, Json{{"id", call.param}});
}

Response list_containers(RouteCall& call) {
    const auto list = call.services.containers.list();
    if (!list.has_value())
        return failure("retrieve container list failed: ", list.error());
    return success("retrieve container list success", encode_list(*list));
}

Response inspect_container(RouteCall& call) {
    const auto info = call.services.containers.inspect(call.param);
    if (!info.has_value())
        return failure("", info.error());
    call.target["container_id"] = info->container_id;
    call.target["container_name"] = info->name;
    return success("retrieve container info success", encode(*info));
}

void describe(const CreateContainerRequest& request, Json& target) {
    target["image_ref"] = request.image;
    if (!request.name.empty())
        target["container_name"] = request.name;
    if (!request.command.empty())
        target["command"] = request.command;
    if (!request.port.empty())
        target["port"] = request.port;
    if (!request.mount.empty())
        target["mount"] = request.mount;
    if (!request.network.empty())
        target["network"] = request.network;
    if (request.tty)
        target["tty"] = true;
}

Response create_container(RouteCall& call) {
    const auto request = read_body<CreateContainerRequest>(call);
    if (!request.has_value())
        return failure(kInvalidJson, request.error());
    describe(*request, call.target);
    const auto id = call.services.containers.create(*request);
    if (!id.has_value())
        return failure(kServiceFailed, id.error());
    call.target["container_id"] = *id;
    return success("cotainer created", Json{{"id", *id}});
}

Response start_container(RouteCall& call) {
    name_target(call);
    if (!call.body.empty()) {
        const auto json = parse_json(call.body);
        if (!json.has_value())
            return failure(kInvalidJson, json.error());
        const JsonReader reader(*json, "");
        if (const auto object = reader.expect_object(); !object.has_value())
            return failure(kInvalidJson, object.error());
        if (const auto known = reader.only({"tty"}); !known.has_value())
            return failure(kInvalidJson, known.error());
        // The terminal mode is fixed at create; the field is taken and has no effect.
        if (const auto tty = reader.boolean("tty", false); !tty.has_value())
            return failure(kInvalidJson, tty.error());
    }
    return acted(call, call.services.containers.start(call.param), "container started");
}

Response stop_container(RouteCall& call) {
    name_target(call);
    if (auto refused = refuse_body(call))
        return *std::move(refused);
    return acted(call, call.services.containers.stop(call.param), "container stopped");
}

Response kill_container(RouteCall& call) {
    name_target(call);
    const auto request = read_body<KillRequest>(call, EmptyBody::Allowed);
    if (!request.has_value())
        return failure(kInvalidJson, request.error());
    const std::string signal = request->signal.empty() ? "KILL" : request->signal;
    call.target["signal"] = signal;
    return acted(call, call.services.containers.kill(call.param, signal), "container killed");
}

Response delete_container(RouteCall& call) {
    name_target(call);
    if (auto refused = refuse_body(call))
        return *std::move(refused);
    return acted(call, call.services.containers.remove(call.param), "container deleted");
}

Response exec_container(RouteCall& call) {
    name_target(call);
    const auto request = read_body<ExecRequest>(call);
    if (!request.has_value())
        return failure(kInvalidJson, request.error());
    call.target["command"] = request->command;
    call.target["tty"] = request->tty;
    const auto created = call.services.containers.exec(call.param, *request);
    if (!created.has_value())
        return failure(kServiceFailed, created.error());
    return success("container executed", Json{{"id", call.param}, {"exec_id", created->exec_id}});
}

Response wait_container(RouteCall& call) {
    name_target(call);
    const auto result = call.services.containers.wait(call.param, call.stop);
    if (!result.has_value())
        return failure(kServiceFailed, result.error());
    return success("container ended", encode(*result));
}

// Bounded in bytes: the beginning gives way, whole lines only.
Response whole_log(RouteCall& call, const core::LogQuery& query) {
    std::string text;
    const auto sink = [&text](std::string_view chunk) {
        text.append(chunk);
        if (text.size() > 2 * kMaxTailBytes)
            text.erase(0, text.size() - kMaxTailBytes);
        return true;
    };
    const auto done = call.services.containers.log(call.param, query, sink, call.stop);
    if (!done.has_value())
        return failure("tail failed: ", done.error());
    if (text.size() > kMaxTailBytes) {
        text.erase(0, text.size() - kMaxTailBytes);
        text.erase(0, text.find('\n') + 1);
    }
    return plain(200, text);
}

Response container_log(RouteCall& call) {
    name_target(call);
    const auto lines = tail_lines_of(call, kMaxTailLines, "invalid tail_lines");
    if (!lines.has_value())
        return failure("", lines.error());
    const auto is_on = [&call](std::string_view name) {
        const auto value = http::query_value(call.head.query, name);
        return value && (*value == "1" || *value == "true");
    };
    const core::LogQuery query{lines->value_or(kDefaultTailLines), is_on("follow"), is_on("raw")};
    // What cannot begin is an answer with a status; later there is only breaking off.
    if (const auto info = call.services.containers.inspect(call.param); !info.has_value())
        return failure("tail failed: ", info.error());
    if (!query.follow)
        return lines->has_value() ? whole_log(call, query) : plain(200, "");
    Response response;
    response.content_type = http::kPlainText;
    response.stream = [&containers = call.services.containers, container = call.param, query](
                          const http::ChunkSink& sink, const std::stop_token& stop) {
        return containers.log(container, query, sink, stop).has_value();
    };
    return response;
}

Response container_log_path(RouteCall& call) {
    name_target(call);
    const auto path = call.services.containers.log_path(call.param);
    if (!path.has_value())
        return failure("log path: ", path.error());
    return success("log path", Json(*path));
}

constexpr auto kShort = CallKind::Short;
constexpr auto kLong = CallKind::Long;
constexpr auto kReads = Effect::Reads;
constexpr auto kChanges = Effect::Changes;

constexpr std::array kRoutes{
    Route{"GET", "/v1/containers", "container.list", Severity::Information, kShort, kReads,
          list_containers, "List all containers"},
    Route{"POST", "/v1/containers", "container.create", Severity::Medium, kLong, kChanges,
          create_container, "Create a container; the image is pulled when it is absent"},
    Route{"GET", "/v1/containers/{c}", "container.info", Severity::Information, kShort, kReads,
          inspect_container, "Show one container"},
    Route{"POST", "/v1/containers/{c}/actions/start", "container.start", Severity::Medium, kLong,
          kChanges, start_container, "Start a container"},
    Route{"POST", "/v1/containers/{c}/actions/stop", "container.stop", Severity::Medium, kLong,
          kChanges, stop_container, "Stop a container: TERM, then KILL"},
    Route{"POST", "/v1/containers/{c}/actions/kill", "container.kill", Severity::Medium, kShort,
          kChanges, kill_container, "Send a signal to a container's first process"},
    Route{"POST", "/v1/containers/{c}/actions/exec", "container.exec", Severity::High, kShort,
          kChanges, exec_container, "Prepare a command in a running container"},
    Route{"GET", "/v1/containers/{c}/exec/attach", "ws.exec.attach", Severity::High,
          CallKind::Upgrade, kChanges, nullptr,
          "Join a prepared command (websocket, raind.streams.v1)"},
    Route{"DELETE", "/v1/containers/{c}/actions/delete", "container.delete", Severity::High, kShort,
          kChanges, delete_container, "Remove a container"},
    Route{"GET", "/v1/containers/{c}/wait", "container.wait", Severity::Information, kLong, kReads,
          wait_container, "Wait until a container has ended and give its exit code"},
    Route{"GET", "/v1/containers/{c}/log", "container.log", Severity::Information, kLong, kReads,
          container_log, "Output of a container: tail_lines, follow=1, raw=1"},
    Route{"GET", "/v1/containers/{c}/logpath", "container.logpath", Severity::Information, kShort,
          kReads, container_log_path, "Where the output of a container is kept"},
};

}  // namespace

std::span<const Route> container_routes() {
    return kRoutes;
}

}  // namespace raind::api
