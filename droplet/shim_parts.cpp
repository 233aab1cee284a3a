#include "droplet/shim_parts.h"

#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raind/shim_protocol.h"

#include "droplet/cgroup.h"
#include "droplet/syscalls.h"
#include "userspace/common/json.h"
#include "userspace/common/process.h"

namespace raind::droplet {

namespace {

constexpr std::size_t kHighWater = 256 * 1024;
constexpr int kBacklog = 64;

}  // namespace

Ending ending_of(int wait_status) {
    if (WIFSIGNALED(wait_status))
        return {128 + WTERMSIG(wait_status), signal_name(WTERMSIG(wait_status))};
    return {WEXITSTATUS(wait_status), {}};
}

std::string ending_json(const Ending& ending) {
    return dump_json({{"exit_code", ending.exit_code}, {"signal", ending.signal}});
}

bool ShimClient::receive() {
    char buffer[65536];
    const ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    in.append(buffer, static_cast<std::size_t>(n));
    return n > 0;
}

void ShimClient::flush() {
    while (!out.empty()) {
        const ssize_t n = ::send(fd.get(), out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            dead = dead || errno != EAGAIN;
            return;
        }
        out.erase(0, static_cast<std::size_t>(n));
    }
    if (mode == Mode::Closing)
        dead = true;
}

bool ShimClient::wants_input() const {
    return exec == nullptr || exec->pending_input.size() < kHighWater;
}

void ShimExec::feed() {
    while (input && !pending_input.empty()) {
        const ssize_t n = ::write(input.get(), pending_input.data(), pending_input.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {  // nobody reads it any more
            pending_input.clear();
            input.reset();
            return;
        }
        pending_input.erase(0, static_cast<std::size_t>(n));
    }
    if (input_ended && pending_input.empty())
        input.reset();
}

bool ShimExec::may_read() const {
    return client == nullptr || client->out.size() < kHighWater;
}

Result<StreamPipes> make_streams(InputPipe input) {
    StreamPipes pipes;
    if (input == InputPipe::Pipe) {
        RAIND_TRY(auto pair, make_pipe());
        pipes.input_read = std::move(pair.first);
        pipes.input_write = std::move(pair.second);
        ::fcntl(pipes.input_write.get(), F_SETFL, O_NONBLOCK);
    } else {
        pipes.input_read.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        if (!pipes.input_read)
            return os_error("/dev/null");
    }
    RAIND_TRY(auto output, make_pipe());
    pipes.output_read = std::move(output.first);
    pipes.output_write = std::move(output.second);
    RAIND_TRY(auto errors, make_pipe());
    pipes.error_read = std::move(errors.first);
    pipes.error_write = std::move(errors.second);
    ::fcntl(pipes.output_read.get(), F_SETFL, O_NONBLOCK);
    ::fcntl(pipes.error_read.get(), F_SETFL, O_NONBLOCK);
    return pipes;
}

void take_streams(const StreamPipes& pipes, const std::vector<int>& keep) {
    ::dup2(pipes.input_read.get(), STDIN_FILENO);
    ::dup2(pipes.output_write.get(), STDOUT_FILENO);
    ::dup2(pipes.error_write.get(), STDERR_FILENO);
    close_all_but(3, keep);
}

Result<UniqueFd> listen_in(const std::string& folder) {
    const UniqueFd dir(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!dir)
        return os_error(folder);
    ::unlinkat(dir.get(), shim::kSocketName, 0);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // The short way round: the folder's path may be longer than an address holds.
    const std::string path = "/proc/self/fd/" + std::to_string(dir.get()) + "/" + shim::kSocketName;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const mode_t mask = ::umask(0177);
    const bool bound =
        socket && ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const int err = errno;
    ::umask(mask);
    if (!bound)
        return os_error(folder + "/" + shim::kSocketName, err);
    if (::listen(socket.get(), kBacklog) != 0)
        return os_error("listen");
    return socket;
}

bool peer_is_root(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

std::string shim_cgroup_of(const std::string& container_cgroup, const std::string& id) {
    return container_cgroup.substr(0, container_cgroup.rfind('/')) + "/shim." + id;
}

ShimCgroup ShimCgroup::join(const std::string& container_cgroup, const std::string& id) {
    ShimCgroup out;
    if (container_cgroup.empty())
        return out;
    const std::string path = shim_cgroup_of(container_cgroup, id);
    // Only where the parent is there: it is the daemon's to make.
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)
        return out;
    if (join_cgroup(path, ::getpid()))
        out.path_ = path;
    else
        ::rmdir(path.c_str());
    return out;
}

void ShimCgroup::leave() {
    const auto mount = cgroup2_mount();
    if (path_.empty() || !mount)
        return;
    static_cast<void>(join_cgroup(*mount, ::getpid()));
    ::rmdir(path_.c_str());
    path_.clear();
}

}  // namespace raind::droplet
