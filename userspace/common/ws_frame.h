// WebSocket frames (RFC 6455) for both ends of `raind.streams.v1`: encoder, incremental decoder and
// the two handshake values. No extensions; fragments are joined; no I/O. A value type: one owner,
// one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "raind/result.h"

namespace raind::ws {

inline constexpr std::string_view kStreamsProtocol = "raind.streams.v1";
// A message of either direction carries at most this many bytes of a stream (rest-api.md 9).
inline constexpr std::size_t kMaxStreamChunk = 32UL * 1024;

enum class Opcode : std::uint8_t {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10
};

// Which end we are. A client masks what it sends and refuses masked frames; a server the reverse.
enum class Role { Client, Server };

struct Message {
    Opcode opcode = Opcode::Binary;
    std::string payload;
};

struct CloseReason {
    std::uint16_t code = 1005;  // 1005: the frame carried no code
    std::string text;
};

// Appends one final frame to `out`. Control frames (close, ping, pong) hold at most 125 bytes.
void append_frame(std::string& out, Role role, Opcode opcode, std::string_view payload);
// Appends a close frame; the text is cut to what fits.
void append_close(std::string& out, Role role, std::uint16_t code, std::string_view text);
CloseReason parse_close(std::string_view payload);

// Takes bytes as they come from the peer and gives whole messages. Control frames between the
// fragments of a message are given at once. After an error the connection cannot be used.
class FrameDecoder {
  public:
    FrameDecoder(Role role, std::size_t max_message) : role_(role), max_message_(max_message) {}

    void feed(std::string_view bytes);
    // nullopt: more bytes are needed.
    Result<std::optional<Message>> next();

  private:
    struct Head;
    Result<std::optional<Head>> parse_head() const;
    Status check_head(const Head& head) const;
    std::string take_payload(const Head& head);

    Role role_;
    std::size_t max_message_;
    std::string buffer_;
    std::size_t offset_ = 0;  // first byte of buffer_ that is not consumed
    std::optional<Message> partial_;
};

// A fresh Sec-WebSocket-Key.
std::string make_key();
// The Sec-WebSocket-Accept that answers a key.
std::string accept_key(std::string_view key);

}  // namespace raind::ws
