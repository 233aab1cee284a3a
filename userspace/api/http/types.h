// What passes between the transport and the routes: who calls, the head of a request, the answer,
// and Call, one request on its way. No HTTP library shows in here, so that it can be replaced.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace raind::api::http {

inline constexpr const char* kPlainText = "text/plain; charset=utf-8";

// The client of a connection, from its certificate and socket; never from anything it can write.
struct Peer {
    std::string spiffe_id;    // empty: refusal says why
    std::string fingerprint;  // empty: no certificate was shown
    std::string ip;
    std::chrono::sys_seconds not_after;
    std::string refusal;  // not empty: the certificate gives no usable identity
};

// The head of a request after the checks of head.h.
struct RequestHead {
    std::string method;
    std::string target;  // as sent
    std::string path;    // target without the query, still percent-encoded
    std::string query;
    std::string host;
    std::optional<std::uint64_t> content_length;
    bool chunked = false;
    bool close = false;  // "Connection: close"
    bool websocket = false;
    std::string websocket_key;
    std::vector<std::string> websocket_protocols;

    bool has_body() const { return chunked || content_length.value_or(0) > 0; }
};

// Takes the parts of an answer that is sent as it comes; false: the client is gone.
using ChunkSink = std::function<bool(std::string_view)>;

struct Response {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    // Instead of body. The stop token fires when the client is gone or the server stops. false: it
    // broke off, and the client is to notice.
    std::function<bool(const ChunkSink&, std::stop_token)> stream;
};

class WebSocket;

// How a call is run: Short ones share the request slots; Long ones (streams, waiting, pulls) run
// outside them, are capped per identity and get a stop token that fires when the client is gone.
enum class CallKind { Short, Long, Upgrade };

// One request, made from its head. All members are called by the thread of the connection.
class Call {
  public:
    Call() = default;
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    virtual ~Call() = default;

    virtual CallKind kind() const = 0;
    // Highest number of body bytes taken.
    virtual std::uint64_t body_cap() const = 0;
    // Set: the answer, before any byte of the body is read.
    virtual std::optional<Response> refuse() = 0;
    virtual Response run(std::string body, std::stop_token stop) = 0;
    // Kind Upgrade, after refuse(): the last that can refuse; then the sub-protocol to confirm
    // (empty: none) and the life of the connection.
    virtual std::optional<Response> prepare_upgrade() = 0;
    virtual std::string protocol() const = 0;
    virtual void upgraded(WebSocket& socket, std::stop_token stop) = 0;
    // The transport ended the call itself (body over the cap, too many calls).
    virtual Response abort(int status, std::string_view reason) = 0;
    // Once, last. Plain answers: before they are sent; streams and upgrades: when they are over.
    virtual void finished(int status, std::uint64_t bytes) = 0;
};

class CallFactory {
  public:
    CallFactory() = default;
    CallFactory(const CallFactory&) = delete;
    CallFactory& operator=(const CallFactory&) = delete;
    virtual ~CallFactory() = default;

    virtual std::unique_ptr<Call> open(const RequestHead& head, const Peer& peer) = 0;
    // The TLS handshake was refused although a certificate was shown.
    virtual void refused_handshake(const Peer& peer, std::string_view reason) = 0;
    // What came was no acceptable request; `status` is answered.
    virtual void malformed(const Peer& peer, int status, std::string_view reason) = 0;
};

}  // namespace raind::api::http
