// WebSocket: the server side of an upgraded connection (RFC 6455). The thread of the connection
// polls the client and one other descriptor in both directions and never blocks on one of them, so
// that a conversation that is full in one direction still moves in the other.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "userspace/api/http/connection.h"
#include "userspace/api/http/limits.h"
#include "userspace/common/ws_frame.h"

namespace raind::api::http {

class WebSocket {
  public:
    WebSocket(Connection& connection, const Limits& limits);

    // What to wait for. What is queued for the client is sent meanwhile without being asked for.
    struct Interest {
        bool client = true;
        int other = -1;
        short other_events = 0;  // as in poll(2)
    };
    struct Ready {
        bool client = false;
        short other = 0;
    };
    Result<Ready> wait(const Interest& interest, std::chrono::milliseconds limit);

    // After wait() said so: reads what is there. Messages are then taken by next_message() until it
    // gives none. false: the client is gone.
    Result<bool> receive();
    // Pings and the closing handshake are answered here; closed() tells of the latter.
    Result<std::optional<ws::Message>> next_message();

    // Queues a message; wait() and close() send it.
    void send(ws::Opcode opcode, std::string_view payload);
    std::size_t queued() const { return out_.size(); }
    // Sends what is queued and the closing frame; a second call does nothing.
    void close(std::uint16_t code, std::string_view reason);
    bool closed() const { return closed_; }
    std::uint64_t bytes_sent() const { return bytes_sent_; }

  private:
    Status flush();

    Connection& connection_;
    const Limits& limits_;
    ws::FrameDecoder decoder_;
    std::string out_;
    std::uint64_t bytes_sent_ = 0;
    bool closed_ = false;
};

// The answer that switches protocols.
std::string upgrade_answer(const RequestHead& head, std::string_view protocol);

}  // namespace raind::api::http
