// exec: another process with exactly the confinement of the first one. See container.h.
#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "droplet/cgroup.h"
#include "droplet/container.h"
#include "droplet/init.h"
#include "droplet/process.h"
#include "droplet/syscalls.h"
#include "userspace/common/fs.h"

namespace raind::droplet {

namespace {

constexpr std::array<std::pair<const char*, int>, 7> kNamespaceFiles{{
    {"user", CLONE_NEWUSER},
    {"mnt", CLONE_NEWNS},
    {"pid", CLONE_NEWPID},
    {"net", CLONE_NEWNET},
    {"ipc", CLONE_NEWIPC},
    {"uts", CLONE_NEWUTS},
    {"cgroup", CLONE_NEWCGROUP},
}};

// Those namespaces of the process that are not this process's own.
Result<int> foreign_namespaces(int pid) {
    int mask = 0;
    for (const auto& [name, flag] : kNamespaceFiles) {
        struct stat theirs{};
        struct stat ours{};
        const std::string file = "/proc/" + std::to_string(pid) + "/ns/" + name;
        if (::stat(file.c_str(), &theirs) != 0 ||
            ::stat((std::string("/proc/self/ns/") + name).c_str(), &ours) != 0)
            return os_error(file);
        if (theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev)
            mask |= flag;
    }
    return mask;
}

Status change_user(const std::string& text, User& user) {
    const auto colon = text.find(':');
    const auto number = [](std::string_view part, std::uint32_t& out) {
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), out);
        return error == std::errc() && end == part.data() + part.size() && !part.empty();
    };
    const std::string_view whole = text;
    const bool good = number(whole.substr(0, colon), user.uid) &&
                      (colon == std::string::npos || number(whole.substr(colon + 1), user.gid));
    if (!good)
        return Error(Errc::InvalidArgument, "--user: expected UID[:GID]");
    return {};
}

Status add_capabilities(const std::vector<std::string>& names, Process& process) {
    if (names.empty())
        return {};
    CapabilitySets sets = process.capabilities.value_or(CapabilitySets{});
    for (const std::string& name : names) {
        const auto number = capability_number(name);
        if (!number)
            return Error(Errc::InvalidArgument, "--cap: unknown capability \"" + name + "\"");
        const std::uint64_t bit = 1ULL << *number;
        sets.bounding |= bit;
        sets.permitted |= bit;
        sets.effective |= bit;
        if (sets.inheritable != 0)
            sets.inheritable |= bit;
        if (sets.ambient != 0)
            sets.ambient |= bit;
    }
    process.capabilities = sets;
    return {};
}

void set_variable(std::vector<std::string>& env, const std::string& entry) {
    const std::string name = entry.substr(0, entry.find('=') + 1);
    std::erase_if(env, [&](const std::string& old) { return old.starts_with(name); });
    env.push_back(entry);
}

// The container's own process with the changes of the command line.
Result<Process> changed_process(const ExecOptions& options, const Spec& spec) {
    if (!spec.process)
        return Error(Errc::InvalidArgument, "process: missing");
    Process process = *spec.process;
    if (options.args.empty())
        return Error(Errc::InvalidArgument, "exec: a command is needed");
    process.args = options.args;
    if (!options.cwd.empty())
        process.cwd = options.cwd;
    for (const std::string& entry : options.env) {
        if (entry.find('=') == std::string::npos || entry[0] == '=')
            return Error(Errc::InvalidArgument, "--env: \"" + entry + "\" is not NAME=VALUE");
        set_variable(process.env, entry);
    }
    if (options.user) {
        RAIND_CHECK(change_user(*options.user, process.user));
        process.user.lookup.reset();
        std::erase_if(process.env, [](const std::string& e) { return e.starts_with("HOME="); });
    }
    process.user.additional_gids.insert(process.user.additional_gids.end(),
                                        options.additional_gids.begin(),
                                        options.additional_gids.end());
    RAIND_CHECK(add_capabilities(options.caps, process));
    process.no_new_privileges = process.no_new_privileges || options.no_new_privs;
    return process;
}

Result<Process> wanted_process(const ExecOptions& options, const Spec& spec) {
    Process process;
    if (options.process) {
        process = *options.process;
    } else if (!options.process_file.empty()) {
        RAIND_TRY(const std::string text, read_file(options.process_file, 1U << 20));
        RAIND_TRY(process, parse_process_text(text));
    } else {
        RAIND_TRY(process, changed_process(options, spec));
    }
    if (!map_id(spec.uid_mappings, process.user.uid) ||
        !map_id(spec.gid_mappings, process.user.gid))
        return Error(Errc::InvalidArgument, "process.user: is not mapped");
    return process;
}

struct ExecPlan {
    Launch launch;
    UniqueFd init;
    int namespaces = 0;
    int preserve_fds = 0;
};

[[noreturn]] void fail(int socket, const std::string& stage, const Error& error, int code) {
    static_cast<void>(send_packet(socket, encode_failure({stage, code, error.message()})));
    ::_exit(1);
}

// The new process itself, in all namespaces of the container.
[[noreturn]] void run_exec(ExecPlan& plan, int socket) {
    ::prctl(PR_SET_DUMPABLE, 0);
    ::setsid();
    const auto go = receive_packet(socket);
    if (!go || !*go || (*go)->text != "go")
        ::_exit(1);
    if ((plan.namespaces & CLONE_NEWUSER) != 0 &&
        (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0))
        fail(socket, "execute_init", os_error("root inside the user namespace"), 0);
    ::prctl(PR_SET_DUMPABLE, 0);
    if (auto opened = plan.launch.open_lsm(); !opened)
        fail(socket, "execute_init", opened.error(), 0);
    if (auto failed = plan.launch.prepare())
        fail(socket, "execute_init", failed->error, failed->exit_code);
    static_cast<void>(send_packet(socket, std::string(1, kAboutToExec)));
    reset_signals();
    const LaunchError error = plan.launch.run();
    fail(socket, "execute_init", error.error, error.exit_code);
}

// Joins the namespaces and makes the process as its own sibling, inside the pid namespace.
[[noreturn]] void join(ExecPlan& plan, int answer, int socket) {
    close_all_but(3 + plan.preserve_fds, {answer, socket, plan.init.get()});
    if (plan.namespaces != 0)
        if (auto joined = setns_all(plan.init.get(), plan.namespaces); !joined) {
            static_cast<void>(send_packet(answer, joined.error().message()));
            ::_exit(1);
        }
    const auto child = clone_process({CLONE_PARENT, -1});
    if (child && child->pid == 0) {
        close_all_but(3 + plan.preserve_fds, {socket});
        run_exec(plan, socket);
    }
    static_cast<void>(
        send_packet(answer, child ? std::to_string(child->pid) : child.error().message()));
    ::_exit(0);
}

Result<int> spawn(ExecPlan& plan, int socket) {
    RAIND_TRY(auto answers, packet_pair());
    RAIND_TRY(const CloneResult helper, clone_process({}));
    if (helper.pid == 0)
        join(plan, answers.second.get(), socket);
    answers.second.reset();
    auto answer = receive_packet(answers.first.get());
    while (::waitpid(helper.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    RAIND_TRY(const std::optional<Packet> packet, std::move(answer));
    if (!packet)
        return Error(Errc::Internal, "the joining helper ended without an answer");
    int pid = 0;
    const std::string_view text = packet->text;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
    if (error != std::errc() || end != text.data() + text.size())
        return Error(Errc::Internal, packet->text);
    return pid;
}

Status await_exec(int socket, Progress& progress) {
    bool about_to_exec = false;
    while (true) {
        RAIND_TRY(const std::optional<Packet> packet, receive_packet(socket));
        if (!packet)
            break;
        if (const auto failure = decode_failure(packet->text)) {
            progress.stage = failure->stage;
            progress.exit_code = failure->exit_code;
            return Error(Errc::Internal, failure->text);
        }
        about_to_exec = true;
    }
    if (!about_to_exec)
        return Error(Errc::NotFound, "the new process has ended: no such process");
    return {};
}

Status let_go(int pid, const Process& process, const State& state, int socket) {
    if (!state.cgroup.empty()) {
        // Where the first process is now: it may have moved to a cgroup below its own.
        RAIND_TRY(const std::string cgroup, cgroup_of(state.init.pid));
        if (cgroup != state.cgroup && !cgroup.starts_with(state.cgroup + "/"))
            return Error(Errc::Conflict, "the container is not in its cgroup: " + cgroup);
        RAIND_CHECK(join_cgroup(cgroup, pid));
    }
    RAIND_CHECK(apply_limits(pid, process));
    return send_packet(socket, "go");
}

}  // namespace

Result<Executed> exec_in_container(const ExecOptions& options, Progress& progress) {
    progress.stage = "check_status";
    RAIND_TRY(const StateFolder folder, StateFolder::open(options.root, options.id));
    RAIND_TRY(const State state, folder.load());
    const RunStatus status = folder.status(state);
    if (status == RunStatus::Stopped || status == RunStatus::Creating)
        return Error(Errc::Conflict, "container: " + options.id + " not running.");
    progress.bundle = state.bundle;
    progress.stage = "load_spec";
    RAIND_TRY(const std::string text, read_file(folder.file("config.json")));
    RAIND_TRY(const Spec spec, parse_spec(text));
    progress.facts = audit_facts(spec, text);
    RAIND_TRY(const Process process, wanted_process(options, spec));
    std::optional<SeccompProgram> seccomp;
    if (spec.seccomp) {
        RAIND_TRY(seccomp, compile_seccomp(*spec.seccomp, options.root));
    }
    progress.stage = "execute_init";
    RAIND_TRY(UniqueFd init, open_process(state.init));
    RAIND_TRY(const int namespaces, foreign_namespaces(state.init.pid));
    ExecPlan plan{Launch(process, std::move(seccomp)), std::move(init), namespaces,
                  options.preserve_fds};
    give_streams(spec, process.user);
    RAIND_TRY(auto sockets, packet_pair());
    RAIND_TRY(const int pid, spawn(plan, sockets.second.get()));
    sockets.second.reset();
    auto done = pidfd_open(pid);
    auto executed =
        done ? let_go(pid, process, state, sockets.first.get()) : Status(std::move(done.error()));
    progress.command = process.args;
    progress.pid = pid;
    if (executed)
        executed = await_exec(sockets.first.get(), progress);
    if (executed && !options.pid_file.empty())
        executed = write_pid_file(options.pid_file, pid);
    if (!executed) {
        ::kill(pid, SIGKILL);  // an own child that nobody has reaped yet
        while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
        return std::move(executed.error());
    }
    return Executed{pid, std::move(*done)};
}

}  // namespace raind::droplet
