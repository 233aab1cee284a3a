#include "userspace/runtime/volume_manager.h"

#include <algorithm>
#include <fmt/format.h>

#include "userspace/common/ids.h"
#include "userspace/common/log.h"
#include "userspace/common/text.h"
#include "userspace/core/mounts.h"
#include "userspace/runtime/request_checks.h"

namespace raind::runtime {
namespace {

using core::VolumeState;

const char* state_text(VolumeState state) {
    switch (state) {
        case VolumeState::Empty:
            return "empty";
        case VolumeState::Filling:
            return "filling";
        case VolumeState::Ready:
            return "ready";
        case VolumeState::Removing:
            break;
    }
    return "removing";
}

Error not_found(const std::string& name) {
    return Error(Errc::NotFound, fmt::format("volume: {} not found", printable(name)));
}

}  // namespace

Result<core::VolumeRecord> VolumeManager::find(const std::string& name) {
    RAIND_TRY(auto record, store_.volumes().find(name));
    if (!record)
        return not_found(name);
    return std::move(*record);
}

Result<std::vector<std::string>> VolumeManager::user_names(const std::string& name) {
    RAIND_TRY(const auto ids, store_.volumes().users(name));
    std::vector<std::string> names;
    for (const std::string& id : ids) {
        RAIND_TRY(const auto container, store_.containers().find(id));
        if (container)
            names.push_back(container->name);
    }
    std::ranges::sort(names);
    return names;
}

Result<api::VolumeInfo> VolumeManager::to_info(const core::VolumeRecord& record) {
    RAIND_TRY(auto users, user_names(record.name));
    return api::VolumeInfo{.name = record.name,
                           .state = state_text(record.state),
                           .mountpoint = paths_.volume(record.name).string(),
                           .created_at = rfc3339(record.created_at),
                           .labels = record.labels,
                           .users = std::move(users)};
}

Result<std::vector<api::VolumeInfo>> VolumeManager::list() {
    RAIND_TRY(const auto records, store_.volumes().list());
    std::vector<api::VolumeInfo> out;
    for (const core::VolumeRecord& record : records) {
        RAIND_TRY(api::VolumeInfo info, to_info(record));
        out.push_back(std::move(info));
    }
    return out;
}

Result<api::VolumeInfo> VolumeManager::inspect(const std::string& name) {
    RAIND_TRY(const core::VolumeRecord record, find(name));
    return to_info(record);
}

Result<api::VolumeInfo> VolumeManager::create(const api::CreateVolumeRequest& request) {
    core::VolumeRecord record{.name = request.name.empty() ? make_ulid() : request.name,
                              .labels = request.labels,
                              .created_at = wall_now()};
    RAIND_CHECK(core::validate_volume_name(record.name));
    RAIND_CHECK(check_labels(record.labels));
    const auto lock = locks_.lock(record.name);
    RAIND_CHECK(store_.volumes().insert(record));
    // A crash from here on: recover() makes the folder.
    RAIND_CHECK(make_folder(record.name));
    return to_info(record);
}

Status VolumeManager::remove(const std::string& name) {
    const auto lock = locks_.lock(name);
    RAIND_TRY(auto transaction, store_.begin());
    RAIND_CHECK(find(name));
    RAIND_TRY(const auto users, user_names(name));
    if (!users.empty())
        return Error(Errc::Conflict, fmt::format("volume: {} is used by container {}", name,
                                                 fmt::join(users, ", ")));
    RAIND_CHECK(store_.volumes().set_state(name, VolumeState::Removing));
    RAIND_CHECK(transaction.commit());
    return finish_removal(name);
}

Status VolumeManager::make_folder(const std::string& name) const {
    const stdfs::path folder = paths_.volume(name);
    RAIND_CHECK(make_dirs(folder, 0755));
    return fsync_dir(folder.parent_path());
}

Status VolumeManager::wipe(const std::string& name) {
    RAIND_CHECK(remove_tree(paths_.volume(name)).context("volume " + name));
    RAIND_CHECK(make_folder(name));
    return store_.volumes().set_state(name, VolumeState::Empty);
}

Status VolumeManager::finish_removal(const std::string& name) {
    RAIND_CHECK(remove_tree(paths_.volume(name)).context("volume " + name));
    return store_.volumes().remove(name);
}

// What no create and no removal is working on.
Status VolumeManager::put_in_order(const std::string& name) {
    RAIND_TRY(const auto record, store_.volumes().find(name));
    if (!record)
        return {};
    switch (record->state) {
        case VolumeState::Empty:
            return make_folder(name);
        case VolumeState::Filling:
            return wipe(name);
        case VolumeState::Removing:
            return finish_removal(name);
        case VolumeState::Ready:
            break;
    }
    return {};
}

Status VolumeManager::recover() {
    RAIND_TRY(const auto records, store_.volumes().list());
    for (const core::VolumeRecord& record : records) {
        const auto lock = locks_.lock(record.name);
        // One volume that cannot be put in order is no reason to leave all containers alone.
        if (auto done = put_in_order(record.name); !done)
            log::error("volume {}: {}", record.name, done.error().message());
    }
    return {};
}

void VolumeManager::tidy(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        const auto lock = locks_.lock(name);
        if (auto done = put_in_order(name); !done)
            log::error("volume {}: {}", name, done.error().message());
    }
}

}  // namespace raind::runtime
