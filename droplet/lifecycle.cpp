// start, state, kill, delete, list. See container.h.
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "droplet/cgroup.h"
#include "droplet/container.h"
#include "droplet/hooks.h"
#include "droplet/init.h"
#include "droplet/sha256.h"
#include "droplet/shim_parts.h"
#include "droplet/syscalls.h"
#include "userspace/common/fs.h"
#include "userspace/common/json.h"

namespace raind::droplet {

namespace {

constexpr int kKillWaitMs = 10000;

Status check_hash(const State& state) {
    const std::string file = state.bundle + "/config_hash.json";
    if (::access(file.c_str(), F_OK) != 0)
        return {};
    RAIND_TRY(const std::string text, read_file(file, 4096));
    RAIND_TRY(const Json value, parse_json(text));
    const JsonReader reader(value, "config_hash.json");
    RAIND_CHECK(reader.expect_object());
    RAIND_TRY(const std::string expected, reader.string("sha256"));
    const auto config = read_file(state.bundle + "/config.json");
    const std::string found = config ? sha256_hex(*config) : "none";
    if (found != expected)
        return Error(Errc::Conflict,
                     "config.json hash validation failed: expect=" + expected + ", got=" + found);
    return {};
}

// What the first process says until its execve closes the FIFO, or until it ends.
Status await_exec(int result, int init, Progress& progress) {
    std::string text;
    for (bool ended = false; !ended;) {
        pollfd entries[2] = {{result, POLLIN, 0}, {init, POLLIN, 0}};
        if (::poll(entries, 2, -1) < 0 && errno != EINTR)
            return os_error("poll");
        ended = entries[1].revents != 0;
        char buffer[4096];
        ssize_t n = 0;
        while ((n = ::read(result, buffer, sizeof buffer)) > 0)
            text.append(buffer, static_cast<std::size_t>(n));
        if (n == 0 && entries[0].revents != 0)
            break;
    }
    const bool about_to_exec = text.starts_with(kAboutToExec);
    if (const auto failure = decode_failure(std::string_view(text).substr(about_to_exec ? 1 : 0))) {
        progress.stage = failure->stage;
        progress.exit_code = failure->exit_code;
        return Error(Errc::Internal, failure->text);
    }
    if (!about_to_exec)
        return Error(Errc::NotFound, "the container's first process has ended: no such process");
    return {};
}

Result<Spec> saved_spec(const StateFolder& folder) {
    RAIND_TRY(const std::string text, read_file(folder.file("config.json")));
    return parse_spec(text);
}

Error not_running(const std::string& id) {
    return Error(Errc::Conflict, "container: " + id + " not running. (container not running)");
}

// The first process is gone for sure when this returns true.
bool wait_gone(const ProcessMark& mark) {
    const auto pidfd = open_process(mark);
    return !pidfd || pidfd_wait(pidfd->get(), kKillWaitMs);
}

Status run_poststart(StateFolder& folder, const State& state, const Spec& spec, Logger& log) {
    if (spec.hooks.poststart.empty())
        return {};
    auto done = run_hooks(spec.hooks.poststart,
                          {"poststart", oci_state_json(state, "running", state.init.pid),
                           state.bundle, state.id, &log});
    if (done)
        return {};
    if (auto gone = destroy(folder, state, &spec, log); !gone)
        log.warning("clean-up: " + gone.error().message());
    return done;
}

}  // namespace

AuditRecord audit_record(const std::string& event, const std::string& id, const std::string& root,
                         const Progress& progress) {
    AuditRecord record;
    record.event = event;
    record.container_id = id;
    record.bundle = progress.bundle;
    record.state_path = root + "/" + id + "/state.json";
    record.exec_command = progress.command;
    if (!progress.signal.empty())
        record.signals = {progress.signal};
    record.pid = progress.pid;
    record.facts = progress.facts;
    record.stage = progress.stage;
    return record;
}

AuditRecord audit_failure(AuditRecord record, const Error& error) {
    record.good = false;
    record.message = error.message();
    return record;
}

Status destroy(StateFolder& folder, const State& state, const Spec* spec, Logger& log) {
    const bool same_boot = state.boot_id == boot_id();
    if (same_boot) {
        if (const auto pidfd = open_process(state.init))
            static_cast<void>(pidfd_signal(pidfd->get(), SIGKILL));
        RAIND_CHECK(kill_cgroup(state.cgroup));
        if (!wait_gone(state.init))
            return Error(Errc::Unavailable, "process " + std::to_string(state.init.pid) +
                                                " does not end after SIGKILL");
        // A process of ours that is ended but not reaped would keep the cgroup busy.
        ::waitpid(state.init.pid > 0 ? state.init.pid : -2, nullptr, WNOHANG);
        // That of a shim that was killed; one that lives removes its own.
        if (!state.cgroup.empty())
            ::rmdir(shim_cgroup_of(state.cgroup, state.id).c_str());
        RAIND_CHECK(remove_cgroup(state.cgroup, state.cgroup_made));
    }
    if (spec != nullptr && (state.hooks_ran || !state.creating))
        run_all_hooks(
            spec->hooks.poststop,
            {"poststop", oci_state_json(state, "stopped", 0), state.bundle, state.id, &log}, log);
    ::unlink((state.bundle + "/config_hash.json").c_str());
    return folder.remove();
}

Status start_container(const std::string& root, const std::string& id, Logger& log,
                       Progress& progress) {
    progress.stage = "check_status";
    RAIND_TRY(StateFolder folder, StateFolder::open_locked(root, id, StateFolder::Wait::Politely));
    RAIND_TRY(const State state, folder.load());
    progress.bundle = state.bundle;
    progress.pid = state.init.pid;
    const RunStatus status = folder.status(state);
    if (status != RunStatus::Created)
        return Error(Errc::Conflict,
                     "container: " + id + " is not created. currnet status: " + to_string(status));
    RAIND_TRY(const std::string text, read_file(folder.file("config.json")));
    RAIND_TRY(const Spec spec, parse_spec(text));
    progress.facts = audit_facts(spec, text);
    if (!spec.process)
        return Error(Errc::InvalidArgument, "process: missing");
    progress.stage = "load_spec";
    RAIND_CHECK(check_hash(state));
    progress.stage = "write_fifo";
    RAIND_TRY(const UniqueFd init, open_process(state.init));
    RAIND_TRY(const UniqueFd result,
              open_file(folder.file(kResultFifo), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    // Without a reader the open fails at once: nothing here waits for ever.
    const UniqueFd fifo(::open(folder.file(kExecFifo).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (!fifo || ::write(fifo.get(), "s", 1) != 1)
        return Error(Errc::NotFound, "the container's first process has ended: no such process");
    progress.stage = "execute_init";
    if (auto done = await_exec(result.get(), init.get(), progress); !done) {
        // OCI: a failed start destroys the container.
        if (auto gone = destroy(folder, state, &spec, log); !gone)
            log.warning("clean-up: " + gone.error().message());
        return done;
    }
    ::unlink((state.bundle + "/config_hash.json").c_str());
    ::unlink(folder.file(kExecFifo).c_str());
    ::unlink(folder.file(kResultFifo).c_str());
    progress.stage = "hook_poststart";
    return run_poststart(folder, state, spec, log);
}

Result<std::string> container_state(const std::string& root, const std::string& id) {
    RAIND_TRY(const StateFolder folder, StateFolder::open(root, id));
    RAIND_TRY(const State state, folder.load());
    const RunStatus status = folder.status(state);
    return oci_state_json(state, to_string(status),
                          status == RunStatus::Stopped ? 0 : state.init.pid);
}

Status kill_container(const std::string& root, const std::string& id, int signal, KillScope scope,
                      Progress& progress) {
    progress.stage = "check_status";
    RAIND_TRY(const StateFolder folder, StateFolder::open(root, id));
    RAIND_TRY(const State state, folder.load());
    progress.bundle = state.bundle;
    progress.pid = state.init.pid;
    progress.stage = "send_signal";
    const RunStatus status = folder.status(state);
    if (scope == KillScope::All && signal == SIGKILL && !state.cgroup.empty() &&
        state.boot_id == boot_id())
        return kill_cgroup(state.cgroup);
    if (status == RunStatus::Stopped || status == RunStatus::Creating)
        return not_running(id);
    RAIND_TRY(const UniqueFd init, open_process(state.init));
    if (scope == KillScope::Init || state.cgroup.empty())
        return pidfd_signal(init.get(), signal);
    RAIND_TRY(const std::string members, read_file(state.cgroup + "/cgroup.procs"));
    for (std::size_t at = 0; at < members.size();) {
        const auto end = std::min(members.find('\n', at), members.size());
        const auto pidfd = pidfd_open(std::atoi(members.substr(at, end - at).c_str()));
        // Only if it is a member still is the descriptor the one that was listed.
        if (pidfd)
            static_cast<void>(pidfd_signal(pidfd->get(), signal));
        at = end + 1;
    }
    return {};
}

Status delete_container(const std::string& root, const std::string& id, DeleteMode mode,
                        Logger& log, Progress& progress) {
    progress.stage = "check_status";
    RAIND_CHECK(check_container_id(id));
    remove_abandoned(root, id);
    const auto wait =
        mode == DeleteMode::Force ? StateFolder::Wait::KillHolder : StateFolder::Wait::Politely;
    auto folder = StateFolder::open_locked(root, id, wait);
    if (!folder) {
        const bool gone = folder.error().code() == Errc::NotFound;
        return mode == DeleteMode::Force && gone ? Status{} : Status(std::move(folder.error()));
    }
    auto state = folder->load();
    if (!state) {
        if (mode == DeleteMode::Force)
            return folder->remove();
        return std::move(state.error());
    }
    const RunStatus status = folder->status(*state);
    if (mode == DeleteMode::Stopped && status != RunStatus::Stopped)
        return Error(Errc::Conflict,
                     "container: " + id + " is not stopped. current status: " + to_string(status));
    progress.bundle = state->bundle;
    progress.pid = state->init.pid;
    progress.stage = "cleanup";
    const auto spec = saved_spec(*folder);
    if (!spec)
        log.warning("poststop hooks are not run: " + spec.error().message());
    return destroy(*folder, *state, spec ? &*spec : nullptr, log);
}

Result<std::vector<ListEntry>> list_containers(const std::string& root, Logger& log) {
    RAIND_TRY(const std::vector<std::string> ids, list_ids(root));
    std::vector<ListEntry> out;
    for (const std::string& id : ids) {
        const auto folder = StateFolder::open(root, id);
        if (!folder)
            continue;
        const auto state = folder->load();
        if (!state) {
            log.warning("container " + id + ": " + state.error().message());
            continue;
        }
        const RunStatus status = folder->status(*state);
        out.push_back({id, to_string(status), status == RunStatus::Stopped ? 0 : state->init.pid,
                       state->bundle, state->created});
    }
    return out;
}

}  // namespace raind::droplet
