#include "droplet/shim_server.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "droplet/cgroup.h"
#include "droplet/log.h"
#include "droplet/syscalls.h"
#include "userspace/common/fs.h"
#include "userspace/common/json.h"

namespace raind::droplet {

namespace {

using Clock = std::chrono::steady_clock;
// How long clients may take to fetch their last bytes, and execs to be reaped.
constexpr std::chrono::seconds kFarewell{5};
constexpr std::size_t kChunk = 65536;

}  // namespace

struct ShimServer::Watch {
    int fd;
    short events;
    std::function<void(short)> ready;
};

int ShimServer::run() {
    reap();
    while (!ending_)
        step(-1);
    const auto deadline = Clock::now() + kFarewell;
    while (!finished()) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0)
            break;
        step(static_cast<int>(left.count()));
    }
    ::unlink((r_.options.bundle + "/" + shim::kSocketName).c_str());
    r_.own_cgroup.leave();
    return 0;
}

bool ShimServer::finished() {
    return clients_.empty() && execs_.empty();
}

std::vector<ShimServer::Watch> ShimServer::watches() {
    std::vector<Watch> out;
    out.push_back({r_.signals.get(), POLLIN, [this](short) { handle_signals(); }});
    if (!ending_)
        out.push_back({r_.listener.get(), POLLIN, [this](short) { accept_client(); }});
    if (r_.output)
        out.push_back({r_.output.get(), POLLIN,
                       [this](short) { read_output(r_.output, OutputStream::Stdout); }});
    if (r_.errors)
        out.push_back({r_.errors.get(), POLLIN,
                       [this](short) { read_output(r_.errors, OutputStream::Stderr); }});
    for (const auto& exec : execs_) {
        ShimExec* e = exec.get();
        if (e->helper)
            out.push_back({e->helper.get(), POLLIN, [this, e](short) { helper_spoke(*e); }});
        // What it writes comes after the answer to its client.
        if (!e->helper && e->output && e->may_read())
            out.push_back({e->output.get(), POLLIN,
                           [this, e](short) { read_exec_output(*e, e->output, shim::kStdout); }});
        if (!e->helper && e->errors && e->may_read())
            out.push_back({e->errors.get(), POLLIN,
                           [this, e](short) { read_exec_output(*e, e->errors, shim::kStderr); }});
        if (e->input && !e->pending_input.empty())
            out.push_back({e->input.get(), POLLOUT, [e](short) { e->feed(); }});
    }
    for (const auto& client : clients_) {
        ShimClient* c = client.get();
        const short events =
            static_cast<short>((c->wants_input() ? POLLIN : 0) | (c->out.empty() ? 0 : POLLOUT));
        out.push_back({c->fd.get(), events, [this, c](short got) {
                           if ((got & POLLOUT) != 0)
                               c->flush();
                           if ((got & (POLLIN | POLLHUP | POLLERR)) != 0)
                               client_ready(*c);
                       }});
    }
    return out;
}

void ShimServer::step(int timeout) {
    const std::vector<Watch> list = watches();
    std::vector<pollfd> entries;
    entries.reserve(list.size());
    for (const Watch& watch : list)
        entries.push_back({watch.fd, watch.events, 0});
    if (::poll(entries.data(), entries.size(), timeout) < 0)
        return;
    // Nothing is taken off the lists while the handlers run: that is clean_up's work.
    for (std::size_t i = 0; i < entries.size(); ++i)
        if (entries[i].revents != 0)
            list[i].ready(entries[i].revents);
    clean_up();
}

void ShimServer::handle_signals() {
    signalfd_siginfo info{};
    while (::read(r_.signals.get(), &info, sizeof info) == sizeof info) {
        // The container does not end because somebody tidies up processes: it is stopped through
        // the socket, or by droplet.
        if (info.ssi_signo != SIGCHLD)
            log_->warning("signal " + signal_name(static_cast<int>(info.ssi_signo)) +
                          " is ignored while the container lives");
    }
    reap();
}

void ShimServer::reap() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
        if (note_end(pid, status))
            continue;
        // A process of exec may end before its helper was heard: the message is there by now.
        for (const auto& exec : execs_)
            if (exec->helper)
                helper_spoke(*exec);
        note_end(pid, status);
    }
}

bool ShimServer::note_end(int pid, int status) {
    if (pid == r_.init.pid && !ending_) {
        container_ended(ending_of(status));
        return true;
    }
    for (const auto& exec : execs_) {
        if (exec->pid != pid || exec->ending)
            continue;
        exec->ending = ending_of(status);
        return true;
    }
    return std::ranges::any_of(execs_, [&](const auto& exec) { return exec->helper_pid == pid; });
}

void ShimServer::container_ended(const Ending& ending) {
    // Everything that it wrote before its end is in the pipes now.
    while (r_.output) {
        pollfd entry{r_.output.get(), POLLIN, 0};
        if (::poll(&entry, 1, 0) <= 0)
            break;
        read_output(r_.output, OutputStream::Stdout);
    }
    while (r_.errors) {
        pollfd entry{r_.errors.get(), POLLIN, 0};
        if (::poll(&entry, 1, 0) <= 0)
            break;
        read_output(r_.errors, OutputStream::Stderr);
    }
    r_.log.finish(OutputStream::Stdout);
    r_.log.finish(OutputStream::Stderr);
    r_.output.reset();
    r_.errors.reset();
    oom_ = oom_kills(r_.cgroup) > 0;
    if (auto written = write_exit_file(ending); !written)
        log_->warning(written.error().message());
    ending_ = ending;
    r_.listener.reset();
    for (const auto& client : clients_) {
        if (client->mode == ShimClient::Mode::Attach)
            client->frame(shim::kExit, ending_json(ending));
        else if (client->mode == ShimClient::Mode::Wait)
            answer(*client, dump_json({{"ok", true},
                                       {"exit_code", ending.exit_code},
                                       {"signal", ending.signal},
                                       {"oom", oom_}}));
        if (client->mode != ShimClient::Mode::Exec)
            client->mode = ShimClient::Mode::Closing;
    }
}

Status ShimServer::write_exit_file(const Ending& ending) {
    const Json record{{"code", ending.exit_code},
                      {"signal", ending.signal},
                      {"oom", oom_},
                      {"time", timestamp_now()},
                      {"reason", oom_                     ? "out of memory"
                                 : !ending.signal.empty() ? "signal"
                                                          : "exited"},
                      {"boot_id", boot_id()},
                      {"log_dropped", r_.log.dropped()}};
    const std::string path = r_.options.bundle + "/" + shim::kExitFile;
    auto written = write_file_atomic(path, dump_json(record) + "\n", 0600);
    // A full disk may have room again soon; the code must not be lost for that.
    for (int attempt = 0; !written && attempt < 20; ++attempt) {
        ::poll(nullptr, 0, 250);
        written = write_file_atomic(path, dump_json(record) + "\n", 0600);
    }
    return written;
}

void ShimServer::read_output(UniqueFd& fd, OutputStream stream) {
    char buffer[kChunk];
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        r_.log.finish(stream);
        fd.reset();
        return;
    }
    const std::string_view bytes(buffer, static_cast<std::size_t>(n));
    r_.log.append(stream, bytes);
    const std::uint8_t type = stream == OutputStream::Stdout ? shim::kStdout : shim::kStderr;
    for (const auto& client : clients_) {
        if (client->mode != ShimClient::Mode::Attach || client->dead)
            continue;
        client->frame(type, bytes);
        client->flush();
        // Too slow: the container's output is not held up for it.
        client->dead = client->dead || client->out.size() > shim::kAttachBacklog;
    }
}

void ShimServer::read_exec_output(ShimExec& exec, UniqueFd& fd, std::uint8_t type) {
    if (!fd)
        return;
    char buffer[kChunk];
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        fd.reset();
        return;
    }
    const std::string_view bytes(buffer, static_cast<std::size_t>(n));
    if (exec.client != nullptr)
        exec.client->frame(type, bytes);
    else
        exec.dropped += bytes.size();
}

// After the end of the process: what it wrote is in the pipes; children of it that hold them open
// are not waited for.
void ShimServer::drain_exec(ShimExec& exec) {
    for (auto* fd : {&exec.output, &exec.errors}) {
        const std::uint8_t type = fd == &exec.output ? shim::kStdout : shim::kStderr;
        while (*fd && exec.may_read()) {
            pollfd entry{fd->get(), POLLIN, 0};
            if (::poll(&entry, 1, 0) <= 0) {
                fd->reset();
                break;
            }
            read_exec_output(exec, *fd, type);
        }
    }
}

void ShimServer::helper_spoke(ShimExec& exec) {
    // Heard already in this round, when the end of its process came first.
    if (!exec.helper)
        return;
    auto packet = receive_packet(exec.helper.get());
    exec.helper.reset();
    Progress progress;
    std::string failure = "the helper has ended without an answer";
    if (packet && *packet) {
        const std::string& text = (*packet)->text;
        if (const auto decoded = decode_failure(text)) {
            progress.stage = decoded->stage;
            progress.exit_code = decoded->exit_code;
            failure = decoded->text;
        } else if (text.starts_with("ok ")) {
            exec.pid = std::atoi(text.c_str() + 3);
            // It is a child of this process and not reaped yet: the number is its own.
            if (auto pidfd = pidfd_open(exec.pid))
                exec.pidfd = std::move(*pidfd);
        }
    }
    if (exec.client == nullptr) {
        exec.done = exec.pid == 0;
        return;
    }
    ShimClient& client = *exec.client;
    if (exec.pid > 0) {
        answer(client, dump_json({{"ok", true}, {"pid", exec.pid}}));
        client.mode = exec.detached ? ShimClient::Mode::Closing : ShimClient::Mode::Exec;
    } else {
        refuse(client, failure, progress);
        exec.done = true;
    }
    if (exec.done || exec.detached) {
        exec.client = nullptr;
        client.exec = nullptr;
    } else {
        handle_frames(client);
    }
}

void ShimServer::finish_exec(ShimExec& exec) {
    drain_exec(exec);
    if (exec.output || exec.errors)
        return;  // the client has not taken everything yet
    exec.done = true;
    if (exec.client != nullptr) {
        exec.client->frame(shim::kExit, ending_json(*exec.ending));
        exec.client->mode = ShimClient::Mode::Closing;
        exec.client->exec = nullptr;
        exec.client->flush();
        return;
    }
    if (exec.id.empty())
        return;
    const Json record{{"code", exec.ending->exit_code},
                      {"signal", exec.ending->signal},
                      {"time", timestamp_now()},
                      {"dropped", exec.dropped},
                      {"boot_id", boot_id()}};
    if (auto written = write_file_atomic(r_.options.bundle + "/exec-" + exec.id + ".json",
                                         dump_json(record) + "\n", 0600);
        !written)
        log_->warning(written.error().message());
}

void ShimServer::clean_up() {
    for (const auto& exec : execs_)
        if (exec->ending && !exec->done)
            finish_exec(*exec);
    for (const auto& client : clients_) {
        if (!client->out.empty() || client->mode == ShimClient::Mode::Closing)
            client->flush();
        if (client->dead && client->exec != nullptr) {
            ShimExec& exec = *client->exec;
            exec.client = nullptr;
            exec.pending_input.clear();
            exec.input.reset();
            client->exec = nullptr;
        }
    }
    clients_.remove_if([](const auto& client) { return client->dead; });
    execs_.remove_if([](const auto& exec) { return exec->done; });
}

}  // namespace raind::droplet
