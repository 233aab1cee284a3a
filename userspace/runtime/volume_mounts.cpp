// The volumes and binds of one container, from its create to its end. See volume_manager.h.
#include <algorithm>
#include <fmt/format.h>

#include "userspace/runtime/bind_source.h"
#include "userspace/runtime/volume_manager.h"

namespace raind::runtime {
namespace {

using core::ContainerState;
using core::MountKind;
using core::MountRecord;
using core::VolumeState;

// Each once: the same volume may be mounted at several places.
std::vector<std::string> volumes_of(const core::ContainerRecord& container) {
    std::vector<std::string> names;
    for (const MountRecord& mount : container.options.mounts)
        if (mount.kind == MountKind::Volume)
            names.push_back(mount.source);
    std::ranges::sort(names);
    const auto rest = std::ranges::unique(names);
    names.erase(rest.begin(), rest.end());
    return names;
}

Error being_removed(const std::string& name) {
    return Error(Errc::Conflict, fmt::format("volume: {} is being removed", name));
}

}  // namespace

Status VolumeManager::admit(std::vector<MountRecord>& mounts) const {
    const std::vector<stdfs::path> own = {paths_.config(), paths_.logs(), paths_.run()};
    for (MountRecord& mount : mounts) {
        if (mount.kind != MountKind::Bind)
            continue;
        RAIND_TRY(mount.source, bind_source(mount.source, own));
    }
    return {};
}

Result<std::vector<std::string>> VolumeManager::reserve(const core::ContainerRecord& container) {
    std::vector<std::string> made;
    for (const std::string& name : volumes_of(container)) {
        RAIND_TRY(const auto record, store_.volumes().find(name));
        if (record && record->state == VolumeState::Removing)
            return being_removed(name);
        if (!record) {
            RAIND_CHECK(store_.volumes().insert({.name = name, .created_at = wall_now()}));
            made.push_back(name);
        }
        RAIND_CHECK(store_.volumes().add_user(name, container.id));
    }
    return made;
}

Result<bool> VolumeManager::attached_elsewhere(const std::string& name,
                                               const std::string& container_id) {
    RAIND_TRY(const auto users, store_.volumes().users(name));
    for (const std::string& id : users) {
        RAIND_TRY(const auto user, store_.containers().find(id));
        if (user && id != container_id && user->state != ContainerState::Stopped)
            return true;
    }
    return false;
}

Status VolumeManager::prepare_volume(const core::ContainerRecord& container,
                                     const MountRecord& mount, PreparedMounts& out) {
    const std::string& name = mount.source;
    const stdfs::path folder = paths_.volume(name);
    RAIND_TRY(core::VolumeRecord record, find(name));
    if (record.state == VolumeState::Removing)
        return being_removed(name);
    // Its create is over, or we would not have the lock.
    const bool ours = std::ranges::find(out.filling, name) != out.filling.end();
    if (record.state == VolumeState::Filling && !ours) {
        RAIND_CHECK(wipe(name));
        record.state = VolumeState::Empty;
    }
    if (record.state == VolumeState::Empty)
        RAIND_CHECK(make_folder(name));
    std::error_code error;
    const bool empty = stdfs::is_empty(folder, error);
    if (error)
        return Error(Errc::Internal,
                     fmt::format("volume: {}: {}: {}", name, folder.string(), error.message()));
    BundleMount bundle{
        .source = folder.string(), .target = mount.target, .read_only = mount.read_only};
    if (record.state == VolumeState::Empty && !empty) {
        RAIND_CHECK(store_.volumes().set_state(name, VolumeState::Ready));
    } else if (record.state == VolumeState::Empty && mount.copy) {
        // Others may be writing into it at this moment; then it is theirs as it is.
        RAIND_TRY(const bool shared, attached_elsewhere(name, container.id));
        if (!shared) {
            RAIND_CHECK(store_.volumes().set_state(name, VolumeState::Filling));
            out.filling.push_back(name);
            bundle.fill = true;
        }
    }
    out.mounts.push_back(std::move(bundle));
    return {};
}

Result<PreparedMounts> VolumeManager::prepare(const core::ContainerRecord& container) {
    std::vector<MountRecord> now = container.options.mounts;
    RAIND_CHECK(admit(now));
    PreparedMounts out;
    for (const std::string& name : volumes_of(container))
        out.locks.push_back(locks_.lock(name));
    for (std::size_t i = 0; i < now.size(); ++i) {
        const MountRecord& mount = container.options.mounts[i];
        if (mount.kind == MountKind::Volume) {
            RAIND_CHECK(prepare_volume(container, mount, out));
            continue;
        }
        // A container that may write above it could have put a link there.
        if (now[i].source != mount.source)
            return Error(Errc::InvalidArgument,
                         fmt::format("invalid mount source: {}: it was another folder when the "
                                     "container was created",
                                     mount.source));
        out.mounts.push_back({.source = mount.source,
                              .target = mount.target,
                              .read_only = mount.read_only,
                              .recursive = true});
    }
    if (out.filling.empty())
        out.locks.clear();
    return out;
}

Status VolumeManager::settle(const PreparedMounts& prepared) {
    for (const std::string& name : prepared.filling) {
        std::error_code error;
        const bool empty = stdfs::is_empty(paths_.volume(name), error);
        if (error)
            return Error(Errc::Internal, fmt::format("volume: {}: {}", name, error.message()));
        RAIND_CHECK(
            store_.volumes().set_state(name, empty ? VolumeState::Empty : VolumeState::Ready));
    }
    return {};
}

Status VolumeManager::drop(const std::vector<std::string>& made) {
    for (const std::string& name : made) {
        RAIND_TRY(const auto record, store_.volumes().find(name));
        RAIND_TRY(const auto users, store_.volumes().users(name));
        // Another container may have used it meanwhile, found nothing to copy, and written.
        std::error_code error;
        const bool used = record && record->state == VolumeState::Empty &&
                          !stdfs::is_empty(paths_.volume(name), error);
        if (record && users.empty() && record->state != VolumeState::Ready && !used)
            RAIND_CHECK(store_.volumes().set_state(name, VolumeState::Removing));
    }
    return {};
}

}  // namespace raind::runtime
