// The requests of shim.sock. See shim_server.h.
#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "droplet/process.h"
#include "droplet/shim_server.h"
#include "droplet/syscalls.h"
#include "userspace/common/json.h"

namespace raind::droplet {

namespace {

constexpr std::size_t kMaxClients = 256;

[[noreturn]] void exec_child(const ShimOptions& options, Process process, const StreamPipes& pipes,
                             int answer, const Logger& log) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    reset_signals();
    take_streams(pipes, {answer});
    ExecOptions exec;
    exec.root = options.root;
    exec.id = options.id;
    exec.process = std::move(process);
    Progress progress;
    const auto done = exec_in_container(exec, progress);
    const std::string text =
        done ? "ok " + std::to_string(done->pid)
             : encode_failure({progress.stage, progress.exit_code, done.error().message()});
    const AuditRecord record = audit_record("exec_shim", options.id, options.root, progress);
    log.audit(done ? record : audit_failure(record, done.error()));
    static_cast<void>(send_packet(answer, text));
    ::_exit(done ? 0 : 1);
}

Status check_exec_id(const std::string& id) {
    return id.empty() || valid_container_id(id)
               ? Status{}
               : Error(Errc::InvalidArgument, "exec_id: not a usable name");
}

}  // namespace

void ShimServer::accept_client() {
    UniqueFd fd(::accept4(r_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd || clients_.size() >= kMaxClients)
        return;
    auto client = std::make_unique<ShimClient>();
    client->fd = std::move(fd);
    if (!peer_is_root(client->fd.get()))
        refuse(*client, "only root may talk to the shim", {});
    clients_.push_back(std::move(client));
}

void ShimServer::client_ready(ShimClient& client) {
    if (!client.receive()) {
        client.dead = true;
        return;
    }
    if (client.mode == ShimClient::Mode::Request && client.exec == nullptr) {
        const auto end = client.in.find('\n');
        if (end != std::string::npos) {
            const std::string line = client.in.substr(0, end);
            client.in.erase(0, end + 1);
            handle_request(client, line);
        } else if (client.in.size() > shim::kRequestLimit) {
            refuse(client, "the request is too long", {});
        }
    }
    if (client.mode == ShimClient::Mode::Exec || client.mode == ShimClient::Mode::Attach)
        handle_frames(client);
    // An exec that is being started: its frames wait, but not without bound.
    if (client.in.size() > shim::kFrameLimit + shim::kFrameHeader)
        client.dead = true;
}

void ShimServer::handle_request(ShimClient& client, const std::string& line) {
    if (auto done = dispatch(client, line); !done)
        refuse(client, done.error().message(), {});
}

Status ShimServer::dispatch(ShimClient& client, const std::string& line) {
    RAIND_TRY(const Json value, parse_json(line));
    const JsonReader request(value, "request");
    RAIND_CHECK(request.expect_object());
    RAIND_TRY(const std::string op, request.string("op"));
    RAIND_TRY(const std::string exec_id, request.string("exec_id", ""));
    RAIND_CHECK(check_exec_id(exec_id));
    if (op == "attach") {
        answer(client, "{\"ok\":true}");
        client.mode = ShimClient::Mode::Attach;
        return {};
    }
    if (op == "wait") {
        client.mode = ShimClient::Mode::Wait;
        return {};
    }
    if (op == "status") {
        answer(client, dump_json({{"ok", true},
                                  {"id", r_.options.id},
                                  {"pid", r_.init.pid},
                                  {"log_dropped", r_.log.dropped()}}));
        client.mode = ShimClient::Mode::Closing;
        return {};
    }
    if (op == "signal") {
        RAIND_TRY(const std::string name, request.string("signal"));
        const auto number = signal_number(name);
        if (!number)
            return Error(Errc::InvalidArgument, "unknown signal \"" + name + "\"");
        const ShimExec* exec = exec_id.empty() ? nullptr : find_exec(exec_id);
        if (!exec_id.empty() && (exec == nullptr || !exec->pidfd))
            return Error(Errc::NotFound, "no exec " + exec_id);
        auto sent =
            pidfd_signal(exec != nullptr ? exec->pidfd.get() : r_.init_pidfd.get(), *number);
        Progress progress{.stage = "send_signal", .bundle = r_.options.bundle, .signal = name};
        progress.pid = r_.init.pid;
        const AuditRecord record = audit_record("kill", r_.options.id, r_.options.root, progress);
        log_->audit(sent ? record : audit_failure(record, sent.error()));
        RAIND_CHECK(std::move(sent));
        answer(client, "{\"ok\":true}");
        client.mode = ShimClient::Mode::Closing;
        return {};
    }
    if (op == "exec") {
        const Json* object = request.child("process");
        if (object == nullptr)
            return Error(Errc::InvalidArgument, "process: missing");
        RAIND_TRY(Process process, parse_process_text(dump_json(*object)));
        RAIND_TRY(const bool detached, request.boolean("detach", false));
        return start_exec(client, exec_id, std::move(process), detached);
    }
    if (op == "resize")
        return Error(Errc::Unsupported, "resize: there is no terminal");
    return Error(Errc::InvalidArgument, "unknown op \"" + op + "\"");
}

Status ShimServer::start_exec(ShimClient& client, const std::string& exec_id, Process process,
                              bool detached) {
    if (!exec_id.empty() && find_exec(exec_id) != nullptr)
        return Error(Errc::AlreadyExists, "exec " + exec_id + " exists already");
    RAIND_TRY(StreamPipes pipes, make_streams(detached ? InputPipe::Null : InputPipe::Pipe));
    RAIND_TRY(auto sockets, packet_pair());
    RAIND_TRY(const CloneResult child, clone_process({}));
    if (child.pid == 0)
        exec_child(r_.options, std::move(process), pipes, sockets.second.get(), *log_);
    auto exec = std::make_unique<ShimExec>();
    exec->id = exec_id;
    exec->client = &client;
    exec->helper = std::move(sockets.first);
    exec->helper_pid = child.pid;
    exec->input = std::move(pipes.input_write);
    exec->output = std::move(pipes.output_read);
    exec->errors = std::move(pipes.error_read);
    exec->detached = detached;
    client.exec = exec.get();
    execs_.push_back(std::move(exec));
    return {};
}

void ShimServer::handle_frames(ShimClient& client) {
    while (!client.dead) {
        auto frame = take_frame(client.in);
        if (!frame) {
            client.dead = true;
            return;
        }
        if (!*frame)
            return;
        ShimExec* exec = client.exec;
        if (exec == nullptr)
            continue;
        if ((*frame)->type == shim::kStdin) {
            exec->input_ended = exec->input_ended || (*frame)->payload.empty();
            exec->pending_input += (*frame)->payload;
            exec->feed();
        } else if ((*frame)->type == shim::kSignal && exec->pidfd) {
            if (const auto number = signal_number((*frame)->payload))
                static_cast<void>(pidfd_signal(exec->pidfd.get(), *number));
        }
    }
}

void ShimServer::answer(ShimClient& client, const std::string& json) {
    client.out += json + "\n";
}

void ShimServer::refuse(ShimClient& client, const std::string& text, const Progress& progress) {
    Json line{{"ok", false}, {"error", text}, {"code", 1}};
    if (progress.exit_code != 0)
        line["code"] = progress.exit_code;
    if (!progress.stage.empty())
        line["stage"] = progress.stage;
    answer(client, dump_json(line));
    client.mode = ShimClient::Mode::Closing;
}

ShimExec* ShimServer::find_exec(const std::string& id) {
    const auto it = std::ranges::find(execs_, id, [](const auto& exec) { return exec->id; });
    return it == execs_.end() ? nullptr : it->get();
}

}  // namespace raind::droplet
