// After a crash, a kill or a reboot: interrupted operations, then each container, then what belongs
// to none.
#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "userspace/common/json.h"
#include "userspace/common/log.h"
#include "userspace/common/process.h"
#include "userspace/runtime/container_manager.h"

namespace raind::runtime {
using core::ContainerState;

namespace {

// What a create wrote down; other operations and older ones make none.
Result<std::vector<std::string>> made_volumes(const core::OperationRecord& operation) {
    RAIND_TRY(const Json payload, parse_json(operation.payload));
    const JsonReader reader(payload, "operation");
    RAIND_CHECK(reader.expect_object());
    return reader.strings("volumes");
}

// Ended, to be removed at its end, and still there: the removal failed or was interrupted.
bool is_leftover(const core::ContainerRecord& record) {
    return record.state == ContainerState::Stopped && record.options.auto_remove;
}

}  // namespace

Status ContainerManager::recover() {
    RAIND_CHECK(recover_operations());
    RAIND_TRY(const std::string boot, boot_id());
    RAIND_TRY(auto records, deps_.store.containers().list());
    std::vector<Record> kept;
    for (Record& record : records) {
        // One container that cannot be taken up keeps no other from it: it stays as closed as it
        // is, and the keeper tries again.
        if (auto taken = recover_container(record, boot); !taken)
            log::error("container {}: {}", record.id, taken.error().message());
        RAIND_TRY(auto now, deps_.store.containers().find(record.id));
        if (now && is_leftover(*now)) {
            if (auto removed = remove_locked(*now); !removed)
                log::error("container {}: {}", record.id, removed.error().message());
            RAIND_TRY(now, deps_.store.containers().find(record.id));
        }
        if (now)
            kept.push_back(*now);
    }
    return remove_strays(kept);
}

// A create that did not finish is undone, a removal is finished. A start leaves the container as
// its processes are; recover_container sees to that.
Status ContainerManager::recover_operations() {
    RAIND_TRY(const auto pending, deps_.store.operations().pending());
    for (const core::OperationRecord& operation : pending) {
        if (!operation.kind.starts_with("container."))
            continue;
        log::info("operation {} on {} was interrupted", operation.kind, operation.object);
        RAIND_TRY(auto record, deps_.store.containers().find(operation.object));
        if (record && operation.kind != "container.start") {
            RAIND_TRY(const auto made, made_volumes(operation));
            // The next start tries again.
            if (auto erased = erase(*record, operation.id, made); !erased)
                log::error("{} {}: {}", operation.kind, operation.object, erased.error().message());
            continue;
        }
        // What the store does not know yet may still be filling a volume.
        if (record && record->shim_pid == 0)
            RAIND_CHECK(tear_down(*record).context("container " + record->id));
        RAIND_CHECK(deps_.store.operations().finish(operation.id));
    }
    return {};
}

Status ContainerManager::recover_container(Record& record, const std::string& boot) {
    const bool attached =
        record.state == ContainerState::Running || record.state == ContainerState::Created;
    if (record.shim_pid == 0 && !attached)
        return {};
    if (record.boot_id != boot) {
        RAIND_CHECK(tear_down(record));
        record.state = ContainerState::Stopped;
        record.exit_code = 255;
        record.reason = "host restarted";
        record.stopped_at = wall_now();
        return deps_.store.containers().update(record);
    }
    if (!is_alive(record.shim_pid, record.shim_start))
        return finish_exit(record);
    if (!attached) {
        // Stopped with a live shim: a start was interrupted before it was acknowledged.
        RAIND_CHECK(tear_down(record));
        return deps_.store.containers().update(record);
    }
    // A start that was interrupted after the container had been let go.
    if (record.state == ContainerState::Created &&
        !stdfs::exists(deps_.paths.droplet_state() / record.id / "exec.fifo")) {
        record.state = ContainerState::Running;
        record.started_at = wall_now();
        RAIND_CHECK(deps_.store.containers().update(record));
    }
    // A container that is ending takes its interface with it; its shim will say so in a moment. Any
    // other fault leaves it closed, and the keeper tries again.
    if (auto repaired = deps_.datapath.repair(record); !repaired)
        log::error("container {}: {}", record.id, repaired.error().message());
    return {};
}

Status ContainerManager::remove_strays(const std::vector<Record>& records) {
    std::set<std::string> ids;
    std::vector<Record> attached;
    for (const Record& record : records) {
        ids.insert(record.id);
        if (record.ep_id != 0)
            attached.push_back(record);
    }
    RAIND_TRY(const auto groups, deps_.cgroups.list());
    for (const std::string& group : groups) {
        const std::string id = group.starts_with("shim.") ? group.substr(5) : group;
        if (!ids.contains(id)) {
            log::warning("cgroup {} belongs to no container: removed", group);
            if (auto destroyed = deps_.cgroups.destroy(group); !destroyed)
                log::error("cgroup {}: {}", group, destroyed.error().message());
        }
    }
    RAIND_TRY(const auto states, deps_.droplet.list());
    for (const std::string& id : states)
        if (!ids.contains(id))
            if (auto removed = deps_.droplet.remove(id); !removed)
                log::error("state of {}: {}", id, removed.error().message());
    std::error_code error;
    for (const auto& entry : stdfs::directory_iterator(deps_.paths.containers(), error))
        if (!ids.contains(entry.path().filename().string())) {
            log::warning("{} belongs to no container: removed", entry.path().string());
            if (auto removed = remove_tree(entry.path()); !removed)
                log::error("{}", removed.error().message());
        }
    return deps_.datapath.prune(attached);
}

void ContainerManager::watch_containers() {
    const auto records = deps_.store.containers().list();
    if (!records) {
        log::error("port watch: {}", records.error().message());
        return;
    }
    for (const Record& seen : *records) {
        // A container that is being changed is looked at in the next round.
        const auto lock = locks_.try_lock(seen.id);
        auto now = lock ? deps_.store.containers().find(seen.id) : std::nullopt;
        if (!now || !*now || !now->has_value())
            continue;
        Record& record = **now;
        const bool attached =
            record.state == ContainerState::Running || record.state == ContainerState::Created;
        if (is_leftover(record)) {
            if (auto removed = remove_locked(record); !removed)
                log::error("container {}: {}", record.id, removed.error().message());
        }
        if (!attached)
            continue;
        if (!is_alive(record.shim_pid, record.shim_start)) {
            // The supervisor was here first unless something failed.
            if (auto done = finish_exit(record); !done)
                log::error("container {}: after its end: {}", record.id, done.error().message());
            continue;
        }
        if (!process_start_time(record.pid))
            continue;
        if (auto verified = deps_.datapath.verify(record); !verified)
            log::error("container {}: {}", record.id, verified.error().message());
    }
}

}  // namespace raind::runtime
