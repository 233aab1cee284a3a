#include "userspace/api/http/session.h"

#include "userspace/api/http/engine.h"
#include "userspace/api/http/head.h"
#include "userspace/api/http/websocket.h"
#include "userspace/common/log.h"

namespace raind::api::http {

namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";

std::int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch())
        .count();
}

}  // namespace

Server::Session::Session(UniqueFd fd, std::string peer_ip, std::shared_ptr<const TlsServer> tls,
                         Shared shared, std::function<void()> on_end)
    : tls_(std::move(tls)),
      shared_(std::move(shared)),
      on_end_(std::move(on_end)),
      connection_(std::move(fd), std::move(peer_ip)),
      thread_([this] { run(); }) {
}

Server::Session::~Session() = default;

void Server::Session::run() {
    try {
        serve();
    } catch (const std::exception& error) {
        log::error("api: connection of {}: {}", connection_.peer().ip, error.what());
    }
    engine_.reset();
    over_ = true;
    on_end_();
}

void Server::Session::serve() {
    const auto shaken = connection_.handshake(*tls_, Clock::now() + shared_.limits.handshake);
    if (!shaken.has_value()) {
        log::debug("api: handshake with {}: {}", connection_.peer().ip, shaken.error().message());
        // Not those who only knocked: a connection that is opened and closed asked for nothing.
        if (shaken.error().code() == Errc::Unauthorized || !connection_.peer().fingerprint.empty())
            shared_.factory.refused_handshake(connection_.peer(), shaken.error().message());
        connection_.close_gently();
        return;
    }
    engine_ = std::make_unique<Engine>(connection_, shared_.gate, shared_.limits, shared_.stop);
    auto limit = shared_.limits.first_head;
    while (!shared_.stop.stop_requested() && one_request(limit))
        limit = shared_.limits.idle;
    connection_.close_gently();
}

// Gives the head with its empty line and takes it off the connection; an empty text when the client
// closed instead of asking.
Result<std::string> Server::Session::read_head(std::chrono::milliseconds limit) {
    Deadline deadline = Clock::now() + limit;
    bool begun = !connection_.buffered().empty();
    std::size_t searched = 0;
    while (true) {
        const std::string_view bytes = connection_.buffered();
        const std::size_t end = bytes.find(kHeadEnd, searched);
        if (end != std::string_view::npos && end + kHeadEnd.size() <= kMaxHeadBytes) {
            std::string head(bytes.substr(0, end + kHeadEnd.size()));
            connection_.consume(head.size());
            return head;
        }
        if (bytes.size() > kMaxHeadBytes)
            return Error(Errc::TooLarge, "request head too large");
        searched = bytes.size() < kHeadEnd.size() ? 0 : bytes.size() - kHeadEnd.size() + 1;
        const auto filled = connection_.fill(deadline);
        if (!filled.has_value() && begun)
            return filled.error();
        if (!filled.has_value() || !*filled)
            return std::string();
        if (!begun) {
            // The idle time is for doing nothing; a head that began has to be finished soon.
            begun = true;
            deadline = Clock::now() + shared_.limits.first_head;
        }
    }
}

void Server::Session::send_whole(const Response& response) {
    // A client that is gone does not need the answer.
    static_cast<void>(
        connection_.write_all(whole_answer(response), Clock::now() + shared_.limits.send)
            .has_value());
}

void Server::Session::refuse_head(int status, std::string_view reason) {
    shared_.factory.malformed(connection_.peer(), status, reason);
    Response response;
    response.status = status;
    response.content_type = kPlainText;
    response.body = std::string(reason) + "\n";
    send_whole(response);
}

bool Server::Session::one_request(std::chrono::milliseconds limit) {
    idle_since_ = now_ms();
    auto bytes = read_head(limit);
    idle_since_ = 0;
    if (!bytes.has_value()) {
        if (bytes.error().code() == Errc::TooLarge)
            refuse_head(431, bytes.error().message());
        else if (bytes.error().os_error() == ETIMEDOUT)
            refuse_head(408, "request head not complete in time");
        return false;
    }
    if (bytes->empty())
        return false;
    const auto head = check_head(*bytes);
    if (!head.has_value()) {
        refuse_head(head.error().status, head.error().reason);
        return false;
    }
    in_call_ = true;
    const std::unique_ptr<Call> call = shared_.factory.open(*head, connection_.peer());
    bool again = false;
    if (call->kind() == CallKind::Upgrade && head->websocket && !call->refuse())
        upgrade(*head, *call);
    else
        again = engine_->serve(*bytes, *head, *call);
    in_call_ = false;
    return again;
}

void Server::Session::upgrade(const RequestHead& head, Call& call) {
    const auto pass = shared_.gate.enter_long(connection_.peer().spiffe_id);
    auto refusal = pass ? call.prepare_upgrade() : call.abort(429, "too many long calls");
    if (refusal) {
        call.finished(refusal->status, refusal->body.size());
        send_whole(*refusal);
        return;
    }
    WebSocket socket(connection_, shared_.limits);
    const Deadline deadline = Clock::now() + shared_.limits.send;
    if (connection_.write_all(upgrade_answer(head, call.protocol()), deadline).has_value())
        call.upgraded(socket, shared_.stop);
    socket.close(1000, "stream closed");
    call.finished(101, socket.bytes_sent());
}

}  // namespace raind::api::http
