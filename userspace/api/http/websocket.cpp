#include "userspace/api/http/websocket.h"

#include <array>
#include <fmt/format.h>
#include <poll.h>

namespace raind::api::http {

WebSocket::WebSocket(Connection& connection, const Limits& limits)
    : connection_(connection),
      limits_(limits),
      decoder_(ws::Role::Server, limits.websocket_message) {
}

Status WebSocket::flush() {
    std::size_t sent = 0;
    while (sent < out_.size()) {
        RAIND_TRY(const std::size_t size,
                  connection_.write_some(std::string_view(out_).substr(sent)));
        if (size == 0)
            break;
        sent += size;
    }
    out_.erase(0, sent);
    return {};
}

Result<WebSocket::Ready> WebSocket::wait(const Interest& interest,
                                         std::chrono::milliseconds limit) {
    RAIND_CHECK(flush());
    // Bytes that were read with the head, or that TLS holds, make no socket readable.
    const bool pending = interest.client && connection_.pending();
    auto client_events = static_cast<short>(interest.client ? POLLIN : 0);
    if (!out_.empty())
        client_events = static_cast<short>(client_events | POLLOUT);
    std::array<pollfd, 2> entries{
        pollfd{connection_.fd(), client_events, 0},
        pollfd{interest.other_events != 0 ? interest.other : -1, interest.other_events, 0}};
    const int timeout = pending ? 0 : static_cast<int>(limit.count());
    if (::poll(entries.data(), entries.size(), timeout) < 0 && errno != EINTR)
        return os_error("poll");
    RAIND_CHECK(flush());
    const bool readable = (entries[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
    return Ready{pending || readable, entries[1].revents};
}

Result<bool> WebSocket::receive() {
    if (connection_.buffered().empty()) {
        const auto filled = connection_.fill(Clock::now());
        // A TLS record that is not complete yet.
        if (!filled.has_value() && filled.error().os_error() == ETIMEDOUT)
            return true;
        if (!filled.has_value())
            return filled.error();
        if (!*filled)
            return false;
    }
    decoder_.feed(connection_.buffered());
    connection_.consume(connection_.buffered().size());
    return true;
}

Result<std::optional<ws::Message>> WebSocket::next_message() {
    while (!closed_) {
        RAIND_TRY(std::optional<ws::Message> message, decoder_.next());
        if (!message)
            return message;
        if (message->opcode == ws::Opcode::Ping)
            send(ws::Opcode::Pong, message->payload);
        else if (message->opcode == ws::Opcode::Close)
            close(1000, "");
        else if (message->opcode != ws::Opcode::Pong)
            return message;
    }
    return std::optional<ws::Message>();
}

void WebSocket::send(ws::Opcode opcode, std::string_view payload) {
    ws::append_frame(out_, ws::Role::Server, opcode, payload);
    bytes_sent_ += payload.size();
}

void WebSocket::close(std::uint16_t code, std::string_view reason) {
    if (closed_)
        return;
    closed_ = true;
    ws::append_close(out_, ws::Role::Server, code, reason);
    // The client may be gone already; there is nobody to tell then.
    static_cast<void>(connection_.write_all(out_, Clock::now() + limits_.stream_send).has_value());
    out_.clear();
}

std::string upgrade_answer(const RequestHead& head, std::string_view protocol) {
    std::string answer = fmt::format(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: {}\r\n",
        ws::accept_key(head.websocket_key));
    if (!protocol.empty())
        answer += fmt::format("Sec-WebSocket-Protocol: {}\r\n", protocol);
    return answer + "\r\n";
}

}  // namespace raind::api::http
