#include <array>

#include "userspace/api/body.h"

namespace raind::api {

namespace {

using http::CallKind;
using http::Response;

Response list_policies(RouteCall& call) {
    call.target["chain"] = call.param;
    const auto list = call.services.policies.list(call.param);
    if (!list.has_value())
        return failure(kServiceFailed, list.error());
    return success("", encode(*list));
}

void describe(const AddPolicyRequest& request, Json& target) {
    target =
        Json{{"chain", request.chain}, {"source", request.source}, {"destination", request.dest}};
    if (!request.protocol.empty())
        target["protocol"] = request.protocol;
    if (request.dport != 0)
        target["dport"] = request.dport;
    if (!request.comment.empty())
        target["comment"] = request.comment;
}

Response add_policy(RouteCall& call) {
    const auto request = read_body<AddPolicyRequest>(call);
    if (!request.has_value())
        return failure(kInvalidJson, request.error());
    describe(*request, call.target);
    const auto id = call.services.policies.add(*request);
    if (!id.has_value())
        return failure(kServiceFailed, id.error(), encode(*request));
    call.target["policy_id"] = *id;
    return success("policy created", Json{{"id", *id}});
}

Response remove_policy(RouteCall& call) {
    if (auto refused = refuse_body(call))
        return *std::move(refused);
    call.target["policy_id"] = call.param;
    const auto done = call.services.policies.remove(call.param);
    if (!done.has_value())
        return failure(kServiceFailed, done.error());
    return success("request accept. remove next commit");
}

Response commit_policies(RouteCall& call) {
    if (auto refused = refuse_body(call))
        return *std::move(refused);
    const auto result = call.services.policies.commit();
    if (!result.has_value())
        return failure(kServiceFailed, result.error());
    call.target["revision"] = result->revision;
    return success("policy committed", encode(*result));
}

Response revert_policies(RouteCall& call) {
    if (auto refused = refuse_body(call))
        return *std::move(refused);
    const auto done = call.services.policies.revert();
    if (!done.has_value())
        return failure(kServiceFailed, done.error());
    return success("policy reverted");
}

Result<std::string> read_mode(const RouteCall& call) {
    RAIND_TRY(const Json json, parse_json(call.body));
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    RAIND_CHECK(reader.only({"mode"}));
    return reader.string("mode");
}

Response set_mode(RouteCall& call) {
    const auto mode = read_mode(call);
    if (!mode.has_value())
        return failure(kInvalidJson, mode.error());
    call.target["mode"] = *mode;
    const auto done = call.services.policies.set_mode(*mode);
    if (!done.has_value())
        return failure(kServiceFailed, done.error());
    return success("North-South Mode changed", Json{{"mode", *mode}});
}

constexpr std::array kRoutes{
    Route{"GET", "/v1/policies/{chain}", "policy.list", Severity::Information, CallKind::Short,
          Effect::Reads, list_policies,
          "List the policies of RAIND-EW, RAIND-NS-OBS or RAIND-NS-ENF"},
    Route{"POST", "/v1/policies", "policy.add", Severity::Medium, CallKind::Short, Effect::Changes,
          add_policy, "Stage a policy"},
    Route{"DELETE", "/v1/policies/{id}", "policy.delete", Severity::Medium, CallKind::Short,
          Effect::Changes, remove_policy, "Mark a policy for removal by the next commit"},
    Route{"POST", "/v1/policies/commit", "policy.commit", Severity::Critical, CallKind::Short,
          Effect::Changes, commit_policies, "Put the staged policies into force"},
    Route{"POST", "/v1/policies/revert", "policy.revert", Severity::Medium, CallKind::Short,
          Effect::Changes, revert_policies, "Drop everything staged since the last commit"},
    Route{"POST", "/v1/policies/ns/mode", "policy.mode.change", Severity::Critical, CallKind::Short,
          Effect::Changes, set_mode, "Stage the North-South mode"},
};

}  // namespace

std::span<const Route> policy_routes() {
    return kRoutes;
}

}  // namespace raind::api
