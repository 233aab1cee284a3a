// Programs started in a running container.
#include <fmt/format.h>

#include "userspace/common/ids.h"
#include "userspace/common/json.h"
#include "userspace/common/text.h"
#include "userspace/runtime/container_manager.h"
#include "userspace/runtime/process_options.h"
#include "userspace/runtime/request_checks.h"

namespace raind::runtime {
namespace {

using namespace std::chrono_literals;
using core::ContainerState;

// An exec that nobody joins is forgotten, so that requests cannot pile up.
constexpr auto kJoinLimit = 60s;
constexpr std::size_t kMaxPending = 256;

}  // namespace

Result<Json> ContainerManager::exec_process(const Record& record,
                                            const api::ExecRequest& request) const {
    if (request.tty)
        return Error(Errc::Unsupported, "a terminal is not supported yet");
    if (request.command.empty() || request.command[0].empty())
        return Error(Errc::InvalidArgument, "command required");
    RAIND_CHECK(check_words(request.command, "command"));
    RAIND_CHECK(check_env(request.env));
    RAIND_TRY(const std::string text, read_file(deps_.paths.container(record.id) / "config.json"));
    RAIND_TRY(const Json config, parse_json(text));
    // The same confinement as the first process, with another command.
    Json process = config.at("process");
    process["args"] = request.command;
    for (const std::string& entry : request.env)
        process["env"].push_back(entry);
    if (!request.user.empty()) {
        RAIND_TRY(process["user"], make_user(request.user));
    }
    if (!request.working_dir.empty()) {
        if (request.working_dir[0] != '/')
            return Error(Errc::InvalidArgument, "the working directory is not absolute");
        process["cwd"] = request.working_dir;
    }
    return process;
}

Result<api::ExecCreated> ContainerManager::exec(const std::string& container,
                                                const api::ExecRequest& request) {
    RAIND_TRY(const Record record, deps_.store.containers().resolve(container));
    if (record.state != ContainerState::Running)
        return Error(Errc::Conflict, fmt::format("container: {} not running.", record.id));
    RAIND_TRY(const Json process, exec_process(record, request));
    api::ExecCreated created{.id = container, .exec_id = make_ulid()};
    if (request.detach) {
        RAIND_CHECK(deps_.droplet.request(deps_.paths.container(record.id),
                                          Json{{"op", "exec"},
                                               {"exec_id", created.exec_id},
                                               {"detach", true},
                                               {"process", process}}));
        return created;
    }
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(exec_mutex_);
    std::erase_if(execs_, [&](const auto& entry) { return now - entry.second.made > kJoinLimit; });
    if (execs_.size() >= kMaxPending)
        return Error(Errc::Exhausted, "too many execs wait for their client");
    execs_[created.exec_id] = {record.id, dump_json(process), now};
    return created;
}

Result<core::ExecStream> ContainerManager::join_exec(const std::string& container,
                                                     const std::string& exec_id) {
    RAIND_TRY(const Record record, deps_.store.containers().resolve(container));
    PendingExec pending;
    {
        const std::lock_guard lock(exec_mutex_);
        const auto found = execs_.find(exec_id);
        if (found == execs_.end() || found->second.container_id != record.id)
            return Error(Errc::NotFound, fmt::format("exec: {} not found", printable(exec_id)));
        pending = std::move(found->second);
        execs_.erase(found);
    }
    RAIND_TRY(Json process, parse_json(pending.process));
    RAIND_TRY(UniqueFd socket,
              deps_.droplet.request(
                  deps_.paths.container(record.id),
                  Json{{"op", "exec"}, {"exec_id", exec_id}, {"process", std::move(process)}}));
    return core::ExecStream{std::move(socket)};
}

}  // namespace raind::runtime
