#include "userspace/api/call.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "raind/api/types.h"

#include "userspace/api/envelope.h"
#include "userspace/api/exec_attach.h"
#include "userspace/api/http/head.h"
#include "userspace/api/http/websocket.h"
#include "userspace/api/routes.h"
#include "userspace/common/log.h"
#include "userspace/pki/authority.h"

namespace raind::api {

namespace {

using http::Response;
using SteadyClock = std::chrono::steady_clock;

constexpr std::uint64_t kBodyCap = 1U << 20;
constexpr std::string_view kUnknownAction = "unknown";

AuditEntry entry_for(const http::Peer& peer, AuditLog& audit) {
    AuditEntry entry;
    entry.begun = wall_now();
    entry.correlation_id = audit.next_correlation_id();
    entry.spiffe_id = peer.spiffe_id;
    entry.fingerprint = peer.fingerprint;
    entry.peer_ip = peer.ip;
    entry.action = kUnknownAction;
    return entry;
}

class ApiCall : public http::Call {
  public:
    ApiCall(core::Services& services, AuditLog& audit, const pki::SpiffePrefix& role,
            const http::RequestHead& head, const http::Peer& peer)
        : audit_(audit),
          role_(role),
          peer_(peer),
          match_(find_route(head.method, head.path)),
          entry_(entry_for(peer, audit)),
          call_{services, head, match_.param, {}, {}},
          begun_(SteadyClock::now()) {
        entry_.method = head.method;
        entry_.path = head.path;
        entry_.host = head.host;
        if (match_.route == nullptr)
            return;
        entry_.action = match_.route->action;
        entry_.severity = match_.route->severity;
    }

    http::CallKind kind() const override {
        return match_.route != nullptr ? match_.route->kind : http::CallKind::Short;
    }

    std::uint64_t body_cap() const override { return kBodyCap; }

    std::optional<Response> refuse() override {
        auto refusal = unauthorised();
        if (!refusal)
            refusal = unroutable();
        if (!refusal && match_.route->effect == Effect::Changes) {
            if (const auto ready = audit_.ready(); !ready.has_value())
                refusal = failure(503, "unavailable", ready.error().message());
        }
        if (!refusal)
            return std::nullopt;
        return dressed(std::move(*refusal));
    }

    Response run(std::string body, std::stop_token stop) override {
        call_.body = std::move(body);
        call_.stop = std::move(stop);
        try {
            return dressed(match_.route->function(call_));
        } catch (const std::exception& error) {
            log::error("api: {}: {}", entry_.action, error.what());
            return dressed(failure(500, "internal", "internal error"));
        }
    }

    std::optional<Response> prepare_upgrade() override {
        auto refusal = join_exec();
        if (!refusal)
            return std::nullopt;
        return dressed(std::move(*refusal));
    }

    std::string protocol() const override { return kStreamsProtocol; }

    void upgraded(http::WebSocket& socket, std::stop_token stop) override {
        const auto done = bridge_exec(socket, std::move(exec_.socket), stop);
        if (!done.has_value())
            entry_.reason = done.error().message();
    }

    Response abort(int status, std::string_view reason) override {
        const std::string_view code = status == 413   ? "too_large"
                                      : status == 400 ? "invalid_argument"
                                                      : "unavailable";
        return dressed(failure(status, code, reason));
    }

    void finished(int status, std::uint64_t bytes) override {
        entry_.code = status;
        entry_.bytes = bytes;
        entry_.latency_ms = static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - begun_)
                .count());
        audit_.write(entry_, call_.target);
    }

  private:
    std::optional<Response> unauthorised() {
        if (!peer_.refusal.empty())
            entry_.reason = peer_.refusal;
        else if (pki::current_time() > peer_.not_after)
            entry_.reason = "certificate has expired";
        else if (const auto id = pki::SpiffeId::parse(peer_.spiffe_id);
                 !id.has_value() || !role_.accepts(*id))
            entry_.reason = "role not accepted here";
        else
            return std::nullopt;
        return plain(403, "forbidden\n");
    }

    std::optional<Response> unroutable() {
        if (match_.route == nullptr && match_.allowed.empty())
            return plain(404, "404 page not found\n");
        if (match_.route == nullptr) {
            Response response = plain(405, "method not allowed\n");
            std::string allowed;
            for (const std::string_view method : match_.allowed)
                allowed.append(allowed.empty() ? "" : ", ").append(method);
            response.headers.emplace_back("Allow", allowed);
            return response;
        }
        if (match_.route->kind == http::CallKind::Upgrade && !call_.head.websocket)
            return failure(426, "invalid_argument", "websocket handshake required");
        return std::nullopt;
    }

    std::optional<Response> join_exec() {
        call_.target["container_id"] = call_.param;
        const auto& offered = call_.head.websocket_protocols;
        if (std::ranges::find(offered, kStreamsProtocol) == offered.end())
            return failure(400, "unsupported",
                           std::string("sub-protocol required: ") + kStreamsProtocol);
        const auto exec_id = http::query_value(call_.head.query, "exec_id");
        if (!exec_id || exec_id->empty())
            return failure(400, "invalid_argument", "missing exec_id query");
        call_.target["exec_id"] = *exec_id;
        auto joined = call_.services.containers.join_exec(call_.param, *exec_id);
        if (!joined.has_value())
            return failure("service failed: ", joined.error());
        exec_ = std::move(*joined);
        return std::nullopt;
    }

    // Every answer names the request; a failure also in its body, whose message is the reason in
    // the audit record.
    Response dressed(Response response) {
        response.headers.emplace_back("X-Request-Id", entry_.correlation_id);
        if (response.status < 400 || response.content_type != "application/json")
            return response;
        auto body = nlohmann::ordered_json::parse(response.body, nullptr, false);
        if (!body.is_object())
            return response;
        if (entry_.reason.empty())
            entry_.reason = body.value("message", "");
        body["request_id"] = entry_.correlation_id;
        response.body =
            body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
        return response;
    }

    AuditLog& audit_;
    const pki::SpiffePrefix& role_;
    const http::Peer& peer_;
    RouteMatch match_;
    AuditEntry entry_;
    RouteCall call_;
    SteadyClock::time_point begun_;
    core::ExecStream exec_;
};

}  // namespace

std::unique_ptr<http::Call> ApiCalls::open(const http::RequestHead& head, const http::Peer& peer) {
    return std::make_unique<ApiCall>(services_, audit_, role_, head, peer);
}

void ApiCalls::refused_handshake(const http::Peer& peer, std::string_view reason) {
    AuditEntry entry = entry_for(peer, audit_);
    entry.action = "tls.handshake";
    entry.reason = reason;
    audit_.write(entry, nlohmann::json::object());
}

void ApiCalls::malformed(const http::Peer& peer, int status, std::string_view reason) {
    AuditEntry entry = entry_for(peer, audit_);
    entry.code = status;
    entry.reason = reason;
    audit_.write(entry, nlohmann::json::object());
}

}  // namespace raind::api
