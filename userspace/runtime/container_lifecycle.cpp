// Start, stop, kill, remove, wait, and the end of a container.
#include <algorithm>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include "userspace/common/log.h"
#include "userspace/common/process.h"
#include "userspace/runtime/container_manager.h"
#include "userspace/runtime/process_options.h"

namespace raind::runtime {
namespace {

using namespace std::chrono_literals;
using core::ContainerState;

constexpr auto kGrace = 3s;      // after the stop signal, unless the container says another
constexpr auto kKillLimit = 5s;  // after SIGKILL

Error wrong_state(const char* what, ContainerState state) {
    return Error(Errc::Conflict,
                 fmt::format("{} operation not allowed to current container status: {}", what,
                             state_name(state)));
}

}  // namespace

const char* state_name(ContainerState state) {
    switch (state) {
        case ContainerState::Creating:
            return "creating";
        case ContainerState::Created:
            return "created";
        case ContainerState::Running:
            return "running";
        case ContainerState::Stopped:
            break;
    }
    return "stopped";
}

void ContainerManager::notify() {
    {
        const std::lock_guard lock(state_mutex_);
        ++version_;
    }
    state_changed_.notify_all();
    if (deps_.changed)
        deps_.changed();
}

Status ContainerManager::bring_up_again(Record& record) {
    std::vector<std::string> filling;
    const auto attempt = [&]() -> Status {
        RAIND_TRY(const ImageDefaults image, deps_.images.defaults(record));
        RAIND_TRY(const PreparedMounts mounts, deps_.volumes.prepare(record));
        filling = mounts.filling;
        RAIND_CHECK(write_bundle(record, bundle_spec(record, image, mounts)));
        RAIND_CHECK(bring_up(record, mounts));
        return deps_.volumes.settle(mounts);
    };
    auto done = attempt();
    if (!done) {
        if (auto undone = tear_down(record); !undone)
            return undone;
        deps_.volumes.tidy(filling);
    }
    return done;
}

Status ContainerManager::start(const std::string& container) {
    RAIND_TRY(Record record, deps_.store.containers().resolve(container));
    const auto lock = locks_.lock(record.id);
    RAIND_TRY(record, deps_.store.containers().resolve(record.id));
    if (record.state == ContainerState::Running)
        return Error(Errc::Conflict, fmt::format("container: {} already started", record.id));
    if (record.state == ContainerState::Creating)
        return wrong_state("start", record.state);
    RAIND_TRY(const std::int64_t operation,
              deps_.store.operations().begin("container.start", record.id, "{}"));
    const auto attempt = [&]() -> Status {
        if (record.state == ContainerState::Stopped)
            RAIND_CHECK(bring_up_again(record));
        record.exit_code = 0;
        record.reason.clear();
        record.message.clear();
        return deps_.droplet.start(record.id);
    };
    auto done = attempt();
    if (done) {
        record.state = ContainerState::Running;
        record.started_at = wall_now();
        record.stopped_at = {};
    } else {
        if (auto undone = tear_down(record); !undone)
            log::error("container {}: after a failed start: {}", record.id,
                       undone.error().message());
        record.state = ContainerState::Stopped;
        record.exit_code = done.error().os_error() == 126 || done.error().os_error() == 127
                               ? done.error().os_error()
                               : 255;
        record.reason = "start failed";
        record.message = done.error().message();
        record.stopped_at = wall_now();
    }
    RAIND_TRY(auto transaction, deps_.store.begin());
    RAIND_CHECK(deps_.store.containers().update(record));
    RAIND_CHECK(deps_.store.operations().finish(operation));
    RAIND_CHECK(transaction.commit());
    if (done)
        RAIND_CHECK(supervise(record));
    notify();
    return done;
}

Status ContainerManager::supervise(const Record& record) {
    if (!supervisor_)
        return {};
    auto pidfd = open_pidfd(record.shim_pid);
    // A shim that ended already is handled at once, in the place of the supervisor.
    if (!pidfd || !is_alive(record.shim_pid, record.shim_start)) {
        Record copy = record;
        return finish_exit(copy);
    }
    supervisor_->forget(record.id);
    return supervisor_->watch(record.id, std::move(*pidfd));
}

Result<bool> ContainerManager::wait_shim(const Record& record,
                                         std::chrono::milliseconds limit) const {
    const auto pidfd = open_pidfd(record.shim_pid);
    if (!pidfd || !is_alive(record.shim_pid, record.shim_start))
        return true;
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (true) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        pollfd event{pidfd->get(), POLLIN, 0};
        const int ready = poll(&event, 1, static_cast<int>(std::max<long long>(left.count(), 0)));
        if (ready == 1)
            return true;
        if (ready == 0)
            return false;
        if (errno != EINTR)
            return os_error("wait for shim");
    }
}

Status ContainerManager::finish_exit(Record& record) {
    const auto exit = read_exit(deps_.paths.container(record.id));
    RAIND_CHECK(tear_down(record));
    record.state = ContainerState::Stopped;
    record.stopped_at = wall_now();
    if (!exit) {
        // What cannot be read cannot be had by waiting either; the container has ended all the
        // same.
        record.exit_code = 255;
        record.reason = "exit record damaged";
        record.message = exit.error().message();
    } else if (*exit) {
        record.exit_code = (*exit)->code;
        record.reason = (*exit)->reason;
        record.message = (*exit)->message;
        record.stopped_at = (*exit)->time;
    } else {
        record.exit_code = 255;
        record.reason = "shim lost";
    }
    RAIND_CHECK(deps_.store.containers().update(record));
    if (record.options.auto_remove) {
        remember_end(record);
        return remove_locked(record);
    }
    notify();
    return {};
}

Supervisor::Handled ContainerManager::on_shim_end(const std::string& id) {
    const auto lock = locks_.try_lock(id);
    if (!lock)
        return Supervisor::Handled::Later;
    auto record = deps_.store.containers().find(id);
    if (!record) {
        log::error("container {}: {}", id, record.error().message());
        return Supervisor::Handled::Later;
    }
    const bool over = !*record || (*record)->shim_pid == 0 ||
                      is_alive((*record)->shim_pid, (*record)->shim_start);
    if (over)
        return Supervisor::Handled::Done;
    // What fails here is tried again by the keeper.
    if (auto done = finish_exit(**record); !done)
        log::error("container {}: after its end: {}", id, done.error().message());
    return Supervisor::Handled::Done;
}

Status ContainerManager::start_supervision() {
    RAIND_TRY(supervisor_,
              Supervisor::start([this](const std::string& id) { return on_shim_end(id); }));
    RAIND_TRY(auto records, deps_.store.containers().list());
    for (Record& record : records)
        if (record.state == ContainerState::Running || record.state == ContainerState::Created) {
            const auto lock = locks_.lock(record.id);
            if (auto watched = supervise(record); !watched)
                log::error("container {}: {}", record.id, watched.error().message());
        }
    return {};
}

Status ContainerManager::stop_locked(Record& record) {
    const stdfs::path bundle = deps_.paths.container(record.id);
    // The container may end between our look and the signal: its shim is gone then, which is the
    // aim.
    const std::string& wanted = record.options.stop_signal;
    (void)deps_.droplet.signal(bundle, wanted.empty() ? "TERM" : wanted).has_value();
    const std::chrono::milliseconds grace =
        record.options.stop_timeout ? std::chrono::seconds(*record.options.stop_timeout) : kGrace;
    RAIND_TRY(bool ended, wait_shim(record, grace));
    if (!ended) {
        (void)deps_.droplet.signal(bundle, "KILL").has_value();
        RAIND_TRY(ended, wait_shim(record, kKillLimit));
    }
    if (!ended)
        log::warning("container {}: does not end after KILL; its cgroup is killed", record.id);
    return finish_exit(record);
}

Status ContainerManager::stop(const std::string& container) {
    RAIND_TRY(Record record, deps_.store.containers().resolve(container));
    const auto lock = locks_.lock(record.id);
    RAIND_TRY(record, deps_.store.containers().resolve(record.id));
    if (record.state != ContainerState::Running)
        return wrong_state("stop", record.state);
    return stop_locked(record);
}

Status ContainerManager::kill(const std::string& container, const std::string& signal) {
    if (!signal.empty())
        RAIND_CHECK(check_signal(signal));
    RAIND_TRY(const Record record, deps_.store.containers().resolve(container));
    if (record.state != ContainerState::Running)
        return wrong_state("kill", record.state);
    return deps_.droplet.signal(deps_.paths.container(record.id), signal.empty() ? "KILL" : signal);
}

Status ContainerManager::remove(const std::string& container) {
    RAIND_TRY(Record record, deps_.store.containers().resolve(container));
    const auto lock = locks_.lock(record.id);
    RAIND_TRY(record, deps_.store.containers().resolve(record.id));
    if (record.state == ContainerState::Running)
        return wrong_state("delete", record.state);
    return remove_locked(record);
}

Status ContainerManager::remove_locked(Record& record) {
    // A removal that failed left its operation; the next attempt goes on with that one.
    RAIND_TRY(const auto pending, deps_.store.operations().pending());
    const auto left = std::ranges::find_if(pending, [&record](const auto& operation) {
        return operation.kind == "container.remove" && operation.object == record.id;
    });
    std::int64_t operation = 0;
    if (left != pending.end()) {
        operation = left->id;
    } else {
        RAIND_TRY(operation, deps_.store.operations().begin("container.remove", record.id, "{}"));
    }
    RAIND_CHECK(erase(record, operation));
    notify();
    return {};
}

void ContainerManager::remember_end(const Record& record) {
    constexpr std::size_t kRemembered = 1024;
    const std::lock_guard lock(state_mutex_);
    ends_.emplace_back(record.id, api::WaitResult{record.exit_code, record.reason});
    if (ends_.size() > kRemembered)
        ends_.pop_front();
}

std::optional<api::WaitResult> ContainerManager::remembered_end(const std::string& id) {
    const std::lock_guard lock(state_mutex_);
    const auto found = std::ranges::find(ends_, id, [](const auto& end) { return end.first; });
    return found == ends_.end() ? std::nullopt : std::optional(found->second);
}

Result<api::WaitResult> ContainerManager::wait(const std::string& container, std::stop_token stop) {
    auto resolved = deps_.store.containers().resolve(container);
    if (!resolved && resolved.error().code() == Errc::NotFound) {
        // It may have ended and gone before the caller could ask.
        if (auto end = remembered_end(container))
            return *std::move(end);
    }
    RAIND_TRY(const Record first, std::move(resolved));
    while (!stop.stop_requested()) {
        std::unique_lock lock(state_mutex_);
        const std::uint64_t seen = version_;
        lock.unlock();
        RAIND_TRY(const auto record, deps_.store.containers().find(first.id));
        if (!record)
            return remembered_end(first.id).value_or(
                api::WaitResult{.exit_code = first.exit_code, .reason = "removed"});
        if (record->state == ContainerState::Stopped) {
            // Whoever noticed the end removes it under this lock: the name is free afterwards.
            if (record->options.auto_remove) {
                const auto removed = locks_.lock(first.id);
            }
            return api::WaitResult{.exit_code = record->exit_code, .reason = record->reason};
        }
        lock.lock();
        state_changed_.wait(lock, stop, [&] { return version_ != seen; });
    }
    return Error(Errc::Unavailable, "the wait was ended");
}

}  // namespace raind::runtime
