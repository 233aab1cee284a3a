#include "userspace/runtime/droplet.h"

#include <chrono>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "userspace/common/json.h"
#include "userspace/common/process.h"
#include "userspace/common/text.h"

namespace raind::runtime {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kCommandLimit = 30s;
constexpr std::size_t kLineLimit = 64U << 10;
constexpr const char* kLogSize = "10485760";
constexpr const char* kLogFiles = "5";

// One line, without its newline. Nothing beyond it is taken, because frames follow on the same
// socket.
Result<std::string> read_line(int fd, Clock::time_point deadline) {
    std::string line;
    while (line.size() < kLineLimit) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd event{fd, POLLIN, 0};
        const int ready = poll(&event, 1, static_cast<int>(std::max<long long>(left.count(), 0)));
        if (ready == 0)
            return Error(Errc::Unavailable, "no answer in time");
        char byte = 0;
        const ssize_t n = ready < 0 ? -1 : read(fd, &byte, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return os_error("read answer");
        if (n == 0)
            return Error(Errc::Unavailable,
                         line.empty() ? "ended without an answer" : "answer cut short");
        if (byte == '\n')
            return line;
        line.push_back(byte);
    }
    return Error(Errc::Internal, "answer too long");
}

// The message of droplet's error as the user should read it; 126 and 127 are kept as a mark in
// front.
Error failure_of(const Json& answer, std::string_view what) {
    const JsonReader reader(answer, "answer");
    const std::string text = reader.string("error", "unknown error").value_or("unknown error");
    const auto code = reader.integer("code", 0, 255, 0).value_or(0);
    const Errc kind = code >= 125 && code <= 127 ? Errc::InvalidArgument : Errc::Internal;
    return Error(kind, fmt::format("{}: {}", what, text), static_cast<int>(code));
}

std::string last_line(const std::string& text) {
    std::string_view line = trim(text);
    if (const auto end = line.rfind('\n'); end != std::string_view::npos)
        line.remove_prefix(end + 1);
    // Whoever shows it says so itself.
    constexpr std::string_view kPrefix = "error: ";
    if (line.starts_with(kPrefix))
        line.remove_prefix(kPrefix.size());
    return std::string(line);
}

}  // namespace

Result<ShimStarted> Droplet::create(const std::string& id, const stdfs::path& bundle, int cgroup_fd,
                                    std::chrono::seconds limit) const {
    RAIND_TRY(auto ready, make_pipe());
    constexpr int kReadyFd = 3;
    RAIND_TRY(const UniqueFd errors,
              open_file(bundle / "logs" / "shim.log", O_WRONLY | O_CREAT | O_APPEND, 0640));
    RAIND_TRY(Child shim,
              Child::spawn(
                  {.program = program_.string(),
                   .args = {"droplet", "--root", state_root_.string(), "--audit-log",
                            audit_log_.string(), "shim", "--bundle", bundle.string(), "--log-path",
                            (bundle / "logs" / "init.log").string(), "--log-max-size", kLogSize,
                            "--log-files", kLogFiles, "--ready-fd", std::to_string(kReadyFd), id},
                   .env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                   .fds = {{ready.second.get(), kReadyFd}, {errors.get(), 2}},
                   .working_dir = "/",
                   .new_session = true,
                   .cgroup_fd = cgroup_fd}));
    ready.second.reset();
    auto line = read_line(ready.first.get(), Clock::now() + limit);
    auto answer = line ? parse_json(*line) : Result<Json>(std::move(line.error()));
    const auto give_up = [&](Error error) -> Result<ShimStarted> {
        (void)shim.signal(SIGKILL).has_value();
        (void)shim.wait().has_value();
        return error;
    };
    if (!answer)
        return give_up(std::move(answer.error()).context("droplet shim"));
    const JsonReader reader(*answer, "shim");
    if (reader.has("error")) {
        (void)shim.wait_for(5s).has_value();
        return give_up(failure_of(*answer, "create failed"));
    }
    const auto pid = reader.integer("pid", 1, INT32_MAX);
    const auto start = process_start_time(shim.pid());
    if (!pid || !start)
        return give_up(Error(Errc::Internal, "droplet shim gave no process id"));
    return ShimStarted{shim.pid(), *start, static_cast<int>(*pid)};
}

Result<std::string> Droplet::run(std::initializer_list<std::string> args) const {
    SpawnOptions options{
        .program = program_.string(),
        .args = {"droplet", "--root", state_root_.string(), "--audit-log", audit_log_.string()},
        .env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}};
    options.args.insert(options.args.end(), args);
    RAIND_TRY(const ProgramResult result, run_program(std::move(options), kCommandLimit));
    if (result.status.shell_code() != 0)
        return Error(Errc::Internal, last_line(result.errors));
    return result.output;
}

Status Droplet::start(const std::string& id) const {
    RAIND_CHECK(run({"start", id}));
    return {};
}

Status Droplet::remove(const std::string& id) const {
    RAIND_CHECK(run({"delete", "--force", id}));
    return {};
}

Result<std::vector<std::string>> Droplet::list() const {
    RAIND_TRY(const std::string text, run({"list", "--quiet"}));
    std::vector<std::string> ids;
    for (const std::string& line : split(text, '\n'))
        if (!trim(line).empty())
            ids.emplace_back(trim(line));
    return ids;
}

Result<UniqueFd> Droplet::request(const stdfs::path& bundle, const Json& request) const {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket)
        return os_error("socket");
    // sun_path holds 108 bytes; the folder's descriptor keeps long roots within it.
    // The shim takes its socket with it, and the bundle goes with the container.
    const auto gone = [&bundle] {
        return Error(Errc::Conflict,
                     fmt::format("container: {} is not running", bundle.filename().string()));
    };
    auto opened = open_file(bundle, O_PATH | O_DIRECTORY);
    if (!opened && opened.error().code() == Errc::NotFound)
        return gone();
    RAIND_TRY(const UniqueFd folder, std::move(opened));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    const std::string path = fmt::format("/proc/self/fd/{}/shim.sock", folder.get());
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno == ENOENT || errno == ECONNREFUSED)
            return gone();
        return Error(Errc::Conflict,
                     fmt::format("the container's shim does not answer: {}", std::strerror(errno)),
                     errno);
    }
    RAIND_CHECK(write_all(socket.get(), dump_json(request) + "\n"));
    RAIND_TRY(const std::string line, read_line(socket.get(), Clock::now() + kCommandLimit));
    RAIND_TRY(const Json answer, parse_json(line));
    if (!JsonReader(answer, "answer").boolean("ok", false).value_or(false))
        return failure_of(
            answer,
            JsonReader(request, "").string("op", "request").value_or("request") + " failed");
    return socket;
}

Status Droplet::signal(const stdfs::path& bundle, const std::string& name) const {
    RAIND_CHECK(request(bundle, Json{{"op", "signal"}, {"signal", name}}));
    return {};
}

Result<std::optional<ExitRecord>> read_exit(const stdfs::path& bundle) {
    auto text = read_file(bundle / "exit.json", kLineLimit);
    if (!text) {
        if (text.error().code() == Errc::NotFound)
            return std::optional<ExitRecord>();
        return std::move(text.error());
    }
    RAIND_TRY(const Json json, parse_json(*text));
    const JsonReader reader(json, "exit.json");
    RAIND_CHECK(reader.expect_object());
    ExitRecord record;
    RAIND_TRY(const auto code, reader.integer("code", 0, 255, 0));
    record.code = static_cast<int>(code);
    RAIND_TRY(record.reason, reader.string("reason", ""));
    RAIND_TRY(record.message, reader.string("message", ""));
    // The file was written when the container ended, perhaps while no daemon ran.
    struct stat info{};
    record.time = stat((bundle / "exit.json").c_str(), &info) == 0
                      ? WallTime{info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec}
                      : wall_now();
    return std::optional<ExitRecord>(record);
}

bool is_alive(int pid, std::uint64_t start_time) {
    if (pid <= 0)
        return false;
    const auto start = process_start_time(pid);
    return start.has_value() && *start == start_time;
}

Result<std::string> boot_id() {
    RAIND_TRY(const std::string text, read_file("/proc/sys/kernel/random/boot_id", 256));
    return std::string(trim(text));
}

}  // namespace raind::runtime
