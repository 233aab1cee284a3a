#include "cli/stream_session.h"

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fmt/format.h>
#include <optional>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/api_client.h"
#include "cli/text.h"
#include "userspace/common/json.h"
#include "userspace/common/ws_frame.h"

namespace raind::cli {

namespace {

// Above this many waiting bytes the side that fills a buffer is not read any more.
constexpr std::size_t kHighWater = 256UL << 10U;
constexpr std::size_t kMaxMessage = 1UL << 20U;
constexpr int kInterruptsToGiveUp = 3;

constexpr char kStdin = 0;
constexpr char kStdout = 1;
constexpr char kStderr = 2;
constexpr char kSignal = 2;

// Bytes on their way to one descriptor of ours.
class OutBuffer {
  public:
    explicit OutBuffer(int fd) : fd_(fd) {
        struct stat info{};
        regular_ = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    }

    int fd() const { return fd_; }
    std::size_t size() const { return bytes_.size() - offset_; }
    bool broken() const { return error_ != 0; }
    int error() const { return error_; }
    void add(std::string_view bytes) {
        if (!broken())
            bytes_ += bytes;
    }

    // Called when poll says that the descriptor takes bytes. A pipe that is writable takes
    // PIPE_BUF bytes without blocking, so that a slow reader never stops the other streams.
    void drain() {
        const std::size_t limit = regular_ ? kHighWater : PIPE_BUF;
        const ssize_t written = ::write(fd_, bytes_.data() + offset_, std::min(size(), limit));
        if (written < 0) {
            if (errno == EINTR || errno == EAGAIN)
                return;
            error_ = errno;
            bytes_.clear();
            offset_ = 0;
            return;
        }
        offset_ += static_cast<std::size_t>(written);
        if (offset_ >= bytes_.size() / 2) {
            bytes_.erase(0, offset_);
            offset_ = 0;
        }
    }

  private:
    int fd_;
    bool regular_ = false;
    int error_ = 0;
    std::string bytes_;
    std::size_t offset_ = 0;
};

class Session {
  public:
    Session(Upgraded upgraded, const SignalForwarding& signals, std::string attempt)
        : socket_(std::move(upgraded.socket)), signals_(signals), attempt_(std::move(attempt)) {
        decoder_.feed(upgraded.rest);
    }

    Outcome<int> run();

  private:
    enum PollSlot { kPollSocket, kPollSignals, kPollIn, kPollOut, kPollErr, kPollCount };

    bool room() const { return out_.size() < kHighWater && err_.size() < kHighWater; }
    Outcome<void> step();
    std::array<pollfd, kPollCount> interests() const;
    Outcome<void> take_messages();
    Outcome<void> take(const ws::Message& message);
    Outcome<void> take_end(const std::string& text);
    Outcome<void> read_socket();
    Outcome<void> write_socket();
    void read_input();
    Outcome<void> read_signals();
    void send(char type, std::string_view payload);
    void say_goodbye(std::uint16_t code, std::string_view text);

    TlsSocket socket_;
    const SignalForwarding& signals_;
    std::string attempt_;
    ws::FrameDecoder decoder_{ws::Role::Client, kMaxMessage};
    std::string to_daemon_;
    OutBuffer out_{STDOUT_FILENO};
    OutBuffer err_{STDERR_FILENO};
    bool input_open_ = true;
    bool read_wants_write_ = false;
    int interrupts_ = 0;
    std::optional<int> exit_code_;
};

void Session::send(char type, std::string_view payload) {
    std::string message(1, type);
    message += payload;
    ws::append_frame(to_daemon_, ws::Role::Client, ws::Opcode::Binary, message);
}

void Session::say_goodbye(std::uint16_t code, std::string_view text) {
    // Best effort: whether the peer hears it changes nothing here.
    std::string frame;
    ws::append_close(frame, ws::Role::Client, code, text);
    static_cast<void>(socket_.write_all(frame, std::chrono::milliseconds(200)));
}

std::array<pollfd, Session::kPollCount> Session::interests() const {
    std::array<pollfd, kPollCount> fds{};
    for (pollfd& entry : fds)
        entry.fd = -1;
    int socket_events = 0;
    if (!exit_code_ && room())
        socket_events |= POLLIN;
    if (!exit_code_ && (!to_daemon_.empty() || read_wants_write_))
        socket_events |= POLLOUT;
    // A socket without interest is left out: poll would report its end again and again.
    if (socket_events != 0)
        fds[kPollSocket] = {socket_.fd(), static_cast<short>(socket_events), 0};
    fds[kPollSignals] = {signals_.fd(), POLLIN, 0};
    if (input_open_ && !exit_code_ && to_daemon_.size() < kHighWater)
        fds[kPollIn] = {STDIN_FILENO, POLLIN, 0};
    if (out_.size() > 0)
        fds[kPollOut] = {out_.fd(), POLLOUT, 0};
    if (err_.size() > 0)
        fds[kPollErr] = {err_.fd(), POLLOUT, 0};
    return fds;
}

Outcome<void> Session::step() {
    RAIND_CHECK(take_messages());
    std::array<pollfd, kPollCount> fds = interests();
    const bool more_inside = fds[kPollSocket].fd >= 0 && room() && socket_.pending();
    if (exit_code_ && out_.size() == 0 && err_.size() == 0)
        return {};
    if (::poll(fds.data(), fds.size(), more_inside ? 0 : -1) < 0) {
        if (errno == EINTR)
            return {};
        return failure(fmt::format("cannot wait for input: {}", std::strerror(errno)));
    }
    if (fds[kPollSignals].revents != 0)
        RAIND_CHECK(read_signals());
    if (fds[kPollIn].revents != 0)
        read_input();
    if (fds[kPollOut].revents != 0)
        out_.drain();
    if (fds[kPollErr].revents != 0)
        err_.drain();
    if (fds[kPollSocket].fd >= 0) {
        if (more_inside || fds[kPollSocket].revents != 0)
            RAIND_CHECK(read_socket());
        RAIND_CHECK(write_socket());
    }
    return {};
}

Outcome<void> Session::take_messages() {
    while (room() && !exit_code_) {
        auto message = decoder_.next();
        if (!message)
            return not_understood(attempt_, message.error().message());
        if (!*message)
            return {};
        RAIND_CHECK(take(**message));
    }
    return {};
}

Outcome<void> Session::take(const ws::Message& message) {
    switch (message.opcode) {
        case ws::Opcode::Binary:
            if (message.payload.empty())
                return {};
            if (message.payload[0] == kStdout)
                out_.add(std::string_view(message.payload).substr(1));
            else if (message.payload[0] == kStderr)
                err_.add(std::string_view(message.payload).substr(1));
            return {};
        case ws::Opcode::Text:
            return take_end(message.payload);
        case ws::Opcode::Ping:
            ws::append_frame(to_daemon_, ws::Role::Client, ws::Opcode::Pong, message.payload);
            return {};
        case ws::Opcode::Close: {
            const ws::CloseReason reason = ws::parse_close(message.payload);
            return failure(fmt::format("cannot {}: the daemon ended the stream: {}",
                                       terminal_safe(attempt_),
                                       reason.text.empty() ? fmt::format("code {}", reason.code)
                                                           : terminal_safe(reason.text)));
        }
        default:
            return {};
    }
}

Outcome<void> Session::take_end(const std::string& text) {
    auto json = parse_json(text);
    if (!json)
        return not_understood(attempt_, json.error().message());
    const JsonReader reader(*json, "end");
    if (auto object = reader.expect_object(); !object)
        return not_understood(attempt_, object.error().message());
    auto code = reader.integer("exit_code", 0, 255);
    if (!code)
        return not_understood(attempt_, code.error().message());
    // Why the command could not be started at all, if the daemon says so.
    auto why = reader.string("error", "");
    if (why && !why->empty())
        err_.add(fmt::format("error: cannot {}: {}\n", terminal_safe(attempt_),
                             terminal_safe(strip_prefixes(*why))));
    exit_code_ = static_cast<int>(*code);
    return {};
}

Outcome<void> Session::read_socket() {
    std::array<char, 64UL * 1024> chunk{};
    const TlsResult result = socket_.read(chunk.data(), chunk.size());
    read_wants_write_ = result.io == TlsIo::WantWrite;
    if (result.io == TlsIo::Done)
        decoder_.feed(std::string_view(chunk.data(), result.bytes));
    if (result.io != TlsIo::Closed && result.io != TlsIo::Failed)
        return {};
    // What came before the end still counts.
    while (!exit_code_) {
        auto message = decoder_.next();
        if (!message || !*message)
            break;
        RAIND_CHECK(take(**message));
    }
    if (exit_code_)
        return {};
    return failure(
        fmt::format("cannot {}: the connection to the daemon was lost before the "
                    "command ended; it may still be running",
                    terminal_safe(attempt_)));
}

Outcome<void> Session::write_socket() {
    while (!to_daemon_.empty()) {
        const TlsResult result = socket_.write(to_daemon_.data(), to_daemon_.size());
        if (result.io != TlsIo::Done)
            return {};  // a broken connection shows where it is read
        to_daemon_.erase(0, result.bytes);
    }
    return {};
}

void Session::read_input() {
    std::array<char, ws::kMaxStreamChunk - 1> chunk{};
    const ssize_t got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    // An end, a closed descriptor, or a terminal that is not ours (EIO): no more input.
    if (got <= 0)
        input_open_ = false;
    send(kStdin, std::string_view(chunk.data(), got > 0 ? static_cast<std::size_t>(got) : 0));
}

Outcome<void> Session::read_signals() {
    signalfd_siginfo info{};
    if (::read(signals_.fd(), &info, sizeof(info)) != sizeof(info))
        return {};
    const bool interrupt = info.ssi_signo == SIGINT;
    if (interrupt && ++interrupts_ >= kInterruptsToGiveUp) {
        say_goodbye(1001, "detached");
        return CliError{.exit_code = 128 + SIGINT,
                        .message = "given up; the command may still be running",
                        .hint = {},
                        .headline = {},
                        .request_id = {}};
    }
    send(kSignal, interrupt ? "INT" : "TERM");
    return {};
}

Outcome<int> Session::run() {
    while (!exit_code_ || out_.size() > 0 || err_.size() > 0) {
        RAIND_CHECK(step());
        if (out_.broken()) {
            say_goodbye(1001, "detached");
            if (out_.error() == EPIPE)
                return 128 + SIGPIPE;
            return failure(
                fmt::format("cannot write to standard output: {}", std::strerror(out_.error())));
        }
    }
    say_goodbye(1000, "");
    return *exit_code_;
}

}  // namespace

SignalForwarding::SignalForwarding() {
    sigset_t set{};
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &before_);
    fd_.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    // In the background of a terminal a read is an error, not a stop.
    std::signal(SIGTTIN, SIG_IGN);
}

SignalForwarding::~SignalForwarding() {
    sigprocmask(SIG_SETMASK, &before_, nullptr);
    std::signal(SIGTTIN, SIG_DFL);
}

Outcome<int> run_streams(Upgraded upgraded, const SignalForwarding& signals,
                         const std::string& attempt) {
    return Session(std::move(upgraded), signals, attempt).run();
}

}  // namespace raind::cli
