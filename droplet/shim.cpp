#include "droplet/shim.h"

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "droplet/process.h"
#include "droplet/shim_server.h"
#include "droplet/syscalls.h"
#include "userspace/common/fs.h"
#include "userspace/common/json.h"

namespace raind::droplet {

namespace {

// The result of create, from the child that ran it.
struct CreateAnswer {
    ProcessMark init;
    std::string cgroup;
};

[[noreturn]] void create_child(const ShimOptions& options, const StreamPipes& pipes, int answer,
                               int shim_pid, Logger& log) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const UniqueFd own_errors(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    log.set_terminal(own_errors.get());
    reset_signals();
    take_streams(pipes, {answer, own_errors.get()});
    CreateOptions create;
    create.root = options.root;
    create.id = options.id;
    create.bundle = options.bundle;
    create.shim_pid = shim_pid;
    Progress progress;
    const auto created = create_container(create, log, progress);
    const std::string text =
        created ? "ok " + std::to_string(created->init.pid) + " " +
                      std::to_string(created->init.start_time) + " " + created->cgroup
                : encode_failure({progress.stage, progress.exit_code, created.error().message()});
    const AuditRecord record = audit_record("create", options.id, options.root, progress);
    log.audit(created ? record : audit_failure(record, created.error()));
    static_cast<void>(send_packet(answer, text));
    ::_exit(created ? 0 : 1);
}

Result<CreateAnswer> read_answer(int socket, Progress& progress) {
    RAIND_TRY(const std::optional<Packet> packet, receive_packet(socket));
    if (!packet)
        return Error(Errc::Internal, "create has ended without an answer");
    if (const auto failure = decode_failure(packet->text)) {
        progress.stage = failure->stage;
        progress.exit_code = failure->exit_code;
        return Error(Errc::Internal, failure->text);
    }
    CreateAnswer answer;
    int at = 0;
    if (std::sscanf(packet->text.c_str(), "ok %d %llu %n", &answer.init.pid,
                    &answer.init.start_time, &at) != 2)
        return Error(Errc::Internal, "create: unexpected answer");
    answer.cgroup = packet->text.substr(static_cast<std::size_t>(at));
    return answer;
}

Result<CreateAnswer> create_in_child(const ShimOptions& options, StreamPipes& pipes, Logger& log,
                                     Progress& progress) {
    RAIND_TRY(auto sockets, packet_pair());
    const int shim_pid = ::getpid();
    RAIND_TRY(const CloneResult child, clone_process({}));
    if (child.pid == 0)
        create_child(options, pipes, sockets.second.get(), shim_pid, log);
    sockets.second.reset();
    auto answer = read_answer(sockets.first.get(), progress);
    while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return answer;
}

void report(const ShimOptions& options, const std::string& line) {
    if (options.ready_fd < 0)
        return;
    static_cast<void>(write_all(options.ready_fd, line + "\n"));
    ::close(options.ready_fd);
}

Result<UniqueFd> open_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT})
        ::sigaddset(&set, number);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd)
        return os_error("signalfd");
    return fd;
}

Result<ShimServer> set_up(ShimOptions& options, Logger& log, Progress& progress) {
    progress.stage = "load_spec";
    RAIND_CHECK(check_container_id(options.id));
    char resolved[PATH_MAX];
    if (::realpath(options.bundle.c_str(), resolved) == nullptr)
        return os_error("bundle " + options.bundle);
    options.bundle = resolved;
    ::setsid();
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return os_error("subreaper");
    RAIND_TRY(UniqueFd signals, open_signals());
    RAIND_TRY(ShimLog container_log,
              ShimLog::open(options.log_path, options.log_max_size, options.log_files));
    ::unlink((options.bundle + "/" + shim::kExitFile).c_str());
    RAIND_TRY(StreamPipes pipes, make_streams(InputPipe::Null));
    RAIND_TRY(const CreateAnswer created, create_in_child(options, pipes, log, progress));
    const auto undo = [&](Error error) {
        Progress ignored;
        static_cast<void>(
            delete_container(options.root, options.id, DeleteMode::Force, log, ignored));
        while (::waitpid(-1, nullptr, WNOHANG) > 0) {
        }
        return error;
    };
    auto listener = listen_in(options.bundle);
    auto init = pidfd_open(created.init.pid);
    if (!listener || !init)
        return undo(std::move(listener ? init.error() : listener.error()));
    return ShimServer(
        {options, created.init, std::move(*init), created.cgroup, std::move(*listener),
         std::move(signals), std::move(pipes.output_read), std::move(pipes.error_read),
         std::move(container_log), ShimCgroup::join(created.cgroup, options.id)},
        log);
}

}  // namespace

int run_shim(const ShimOptions& given, Logger& log) {
    ShimOptions options = given;
    close_all_but(3, {options.ready_fd});
    if (options.ready_fd >= 0)
        ::fcntl(options.ready_fd, F_SETFD, FD_CLOEXEC);
    Progress progress;
    auto server = set_up(options, log, progress);
    if (!server) {
        Json line{{"stage", progress.stage}, {"error", server.error().message()}};
        if (progress.exit_code != 0)
            line["code"] = progress.exit_code;
        report(options, dump_json(line));
        log.error(server.error().message());
        log.audit(audit_failure(audit_record("shim", options.id, options.root, progress),
                                server.error()));
        return 1;
    }
    progress.bundle = options.bundle;
    progress.pid = ::getpid();
    log.audit(audit_record("shim", options.id, options.root, progress));
    report(options, dump_json({{"pid", server->init_pid()}}));
    return server->run();
}

}  // namespace raind::droplet
