#include "userspace/api/exec_attach.h"

#include <array>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

namespace raind::api {

namespace {

// Message types of raind.streams.v1 and the frames of the shim's stream are numbered alike.
enum ClientType : char { kInput = 0, kResize = 1, kSignal = 2 };
enum ShimType : char { kOutput = 1, kErrors = 2, kExit = 3 };

constexpr std::size_t kFrameHead = 5;
constexpr std::size_t kQueueLimit = 1U << 20;
constexpr std::size_t kMaxFrame = 8U << 20;
constexpr std::chrono::milliseconds kTick{500};

void append_shim_frame(std::string& out, char type, std::string_view payload) {
    const auto size = static_cast<std::uint32_t>(payload.size());
    out += type;
    for (int shift = 24; shift >= 0; shift -= 8)
        out += static_cast<char>((size >> shift) & 0xffU);
    out += payload;
}

class Bridge {
  public:
    Bridge(http::WebSocket& socket, UniqueFd shim) : socket_(socket), shim_(std::move(shim)) {}

    Status run(const std::stop_token& stop) {
        if (::fcntl(shim_.get(), F_SETFL, O_NONBLOCK) != 0)
            return os_error("exec stream");
        while (!over_ && !socket_.closed()) {
            if (stop.stop_requested()) {
                socket_.close(1001, "server stops");
                return {};
            }
            RAIND_CHECK(step());
        }
        return {};
    }

  private:
    // Either side is read only while what it makes for the other is below the limit, and both are
    // written whenever they take something: no order of a slow reader and a full pipe can lock up.
    Status step() {
        http::WebSocket::Interest interest;
        interest.client = to_shim_.size() < kQueueLimit;
        interest.other = shim_.get();
        if (socket_.queued() < kQueueLimit)
            interest.other_events = POLLIN;
        if (!to_shim_.empty())
            interest.other_events = static_cast<short>(interest.other_events | POLLOUT);
        RAIND_TRY(const http::WebSocket::Ready ready, socket_.wait(interest, kTick));
        if ((ready.other & (POLLIN | POLLHUP | POLLERR)) != 0)
            RAIND_CHECK(from_shim());
        if (ready.client && !over_)
            RAIND_CHECK(from_client());
        return flush_shim();
    }

    Status from_client() {
        RAIND_TRY(const bool open, socket_.receive());
        while (true) {
            const auto message = socket_.next_message();
            if (!message.has_value()) {
                socket_.close(message.error().code() == Errc::TooLarge ? 1009 : 1002,
                              message.error().message());
                return message.error();
            }
            if (!*message)
                break;
            take_message(**message);
        }
        over_ = over_ || !open;
        return {};
    }

    // Text messages are ignored, as are types that are not known.
    void take_message(const ws::Message& message) {
        if (message.opcode != ws::Opcode::Binary || message.payload.empty())
            return;
        const char type = message.payload.front();
        const std::string_view rest = std::string_view(message.payload).substr(1);
        if (type == kInput || (type == kResize && rest.size() == 4) || type == kSignal)
            append_shim_frame(to_shim_, type, rest);
    }

    Status flush_shim() {
        while (!to_shim_.empty() && !over_) {
            const ssize_t sent =
                ::send(shim_.get(), to_shim_.data(), to_shim_.size(), MSG_NOSIGNAL);
            if (sent < 0 && (errno == EAGAIN || errno == EINTR))
                return {};
            if (sent < 0) {
                // It reads no more; what it still has to say comes out of the other direction.
                to_shim_.clear();
                return {};
            }
            to_shim_.erase(0, static_cast<std::size_t>(sent));
        }
        return {};
    }

    Status from_shim() {
        std::array<char, 64U * 1024> chunk;  // NOLINT: filled by recv
        const ssize_t got = ::recv(shim_.get(), chunk.data(), chunk.size(), 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return {};
        if (got <= 0) {
            over_ = true;
            socket_.close(1011, "the command's supervisor ended");
            return Error(Errc::Unavailable, "exec ended without an exit status");
        }
        in_.append(chunk.data(), static_cast<std::size_t>(got));
        std::size_t offset = 0;
        while (!over_ && in_.size() - offset >= kFrameHead) {
            std::uint32_t size = 0;
            for (std::size_t i = 1; i < kFrameHead; ++i)
                size = (size << 8U) | static_cast<unsigned char>(in_[offset + i]);
            if (size > kMaxFrame)
                return Error(Errc::Internal, "exec stream: frame too large");
            if (in_.size() - offset - kFrameHead < size)
                break;
            take_frame(in_[offset], std::string_view(in_).substr(offset + kFrameHead, size));
            offset += kFrameHead + size;
        }
        in_.erase(0, offset);
        return {};
    }

    void take_frame(char type, std::string_view payload) {
        if (type == kExit) {
            socket_.send(ws::Opcode::Text, payload);
            over_ = true;
            return;
        }
        if (type != kOutput && type != kErrors)
            return;
        for (std::size_t at = 0; at < payload.size(); at += ws::kMaxStreamChunk - 1) {
            std::string message(1, type);
            message += payload.substr(at, ws::kMaxStreamChunk - 1);
            socket_.send(ws::Opcode::Binary, message);
        }
    }

    http::WebSocket& socket_;
    UniqueFd shim_;
    std::string to_shim_;
    std::string in_;
    bool over_ = false;
};

}  // namespace

Status bridge_exec(http::WebSocket& socket, UniqueFd shim, const std::stop_token& stop) {
    return Bridge(socket, std::move(shim)).run(stop);
}

}  // namespace raind::api
