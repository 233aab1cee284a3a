// The WebSocket handshake of a stream (RFC 6455, section 4).
#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <fmt/format.h>
#include <map>

#include "cli/api_client.h"
#include "cli/stream_session.h"
#include "userspace/common/text.h"
#include "userspace/common/units.h"
#include "userspace/common/ws_frame.h"

namespace raind::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kConnect{5000};
constexpr std::chrono::milliseconds kAnswer{30000};
constexpr std::size_t kMaxHead = 16UL << 10U;
constexpr std::size_t kMaxBody = 1UL << 20U;

struct Head {
    int status = 0;
    std::map<std::string, std::string> headers;  // names in lower case
};

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

// Reads more bytes into `buffer`; false: closed, failed or too slow.
bool read_more(TlsSocket& socket, std::string& buffer, Clock::time_point deadline) {
    std::array<char, 16384> chunk{};
    while (true) {
        const TlsResult result = socket.read(chunk.data(), chunk.size());
        if (result.io == TlsIo::Done) {
            buffer.append(chunk.data(), result.bytes);
            return true;
        }
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        const bool wants = result.io == TlsIo::WantRead || result.io == TlsIo::WantWrite;
        if (!wants || left.count() <= 0 || !socket.wait(result.io, left))
            return false;
    }
}

std::optional<Head> parse_head(std::string_view text) {
    Head head;
    bool first = true;
    for (const std::string& line : split(text, '\n')) {
        const std::string_view content = trim(line);
        if (first) {
            if (!content.starts_with("HTTP/1.1 ") || content.size() < 12)
                return std::nullopt;
            auto status = parse_number(content.substr(9, 3), 100, 599, "status");
            if (!status)
                return std::nullopt;
            head.status = static_cast<int>(*status);
            first = false;
            continue;
        }
        const std::size_t colon = content.find(':');
        if (colon != std::string_view::npos)
            head.headers[lower(std::string(content.substr(0, colon)))] =
                trim(content.substr(colon + 1));
    }
    return head;
}

CliError refused(TlsSocket& socket, const Head& head, std::string body, Clock::time_point deadline,
                 const std::string& attempt) {
    std::size_t expected = kMaxBody;
    if (const auto length = head.headers.find("content-length"); length != head.headers.end()) {
        if (auto number = parse_number(length->second, 0, kMaxBody, "length"))
            expected = static_cast<std::size_t>(*number);
    }
    while (body.size() < expected && read_more(socket, body, deadline)) {
    }
    body.resize(std::min(body.size(), expected));
    HttpAnswer answer;
    answer.status = head.status;
    answer.body = std::move(body);
    return answer_error(answer, attempt);
}

std::string header(const Head& head, const std::string& name) {
    const auto found = head.headers.find(name);
    return found == head.headers.end() ? std::string() : found->second;
}

}  // namespace

Outcome<Upgraded> open_stream(const Endpoint& endpoint, const std::string& target,
                              const std::string& attempt) {
    RAIND_TRY(TlsSocket socket, TlsSocket::connect(endpoint, kConnect));
    const Clock::time_point deadline = Clock::now() + kAnswer;
    const std::string key = ws::make_key();
    const std::string request = fmt::format(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: raind/{}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: {}\r\n\r\n",
        target, endpoint.address(), RAIND_VERSION, key, ws::kStreamsProtocol);
    std::string buffer;
    bool alive = socket.write_all(request, kAnswer);
    while (alive && buffer.find("\r\n\r\n") == std::string::npos && buffer.size() < kMaxHead)
        alive = read_more(socket, buffer, deadline);
    const std::size_t end = buffer.find("\r\n\r\n");
    if (end == std::string::npos) {
        RAIND_CHECK(socket.alert_as_error(endpoint));
        return diagnose(endpoint, "the daemon closed the connection without an answer");
    }
    const auto head = parse_head(std::string_view(buffer).substr(0, end));
    if (!head)
        return not_understood(attempt, "no HTTP answer");
    std::string rest = buffer.substr(end + 4);
    if (head->status != 101)
        return refused(socket, *head, std::move(rest), deadline, attempt);
    if (header(*head, "sec-websocket-accept") != ws::accept_key(key) ||
        header(*head, "sec-websocket-protocol") != ws::kStreamsProtocol)
        return not_understood(attempt, "it does not speak raind.streams.v1");
    return Upgraded{std::move(socket), std::move(rest)};
}

}  // namespace raind::cli
