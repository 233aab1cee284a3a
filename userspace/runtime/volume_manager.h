// Named volumes for clients, and what the manager of containers needs of all mounts: which are
// permitted, which volumes a container makes, which of them its image fills.
//
// A volume is a folder of its own below Paths::volumes(), with the ids that containers see: mounts
// are id-mapped. An empty one takes the content of an image's folder once. droplet does the
// copying, as the container's root; here is the book-keeping that makes it whole or nothing: the
// state is Filling from before the first file until the whole container is created, and a Filling
// volume that no create holds is emptied by whoever meets it.
//
// Thread-safe: one lock per volume, never held while a container's lock is awaited.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "userspace/core/services.h"
#include "userspace/runtime/bundle.h"
#include "userspace/runtime/keyed_mutex.h"
#include "userspace/runtime/paths.h"
#include "userspace/store/store.h"

namespace raind::runtime {

// The mounts of one start of a container. As long as it lives, no other one fills its volumes.
struct PreparedMounts {
    std::vector<BundleMount> mounts;
    std::vector<std::string> filling;  // volumes
    std::vector<KeyedMutex::Lock> locks;
};

class VolumeManager final : public core::VolumeService {
  public:
    VolumeManager(const Paths& paths, store::Store& store) : paths_(paths), store_(store) {}

    Result<std::vector<api::VolumeInfo>> list() override;
    Result<api::VolumeInfo> create(const api::CreateVolumeRequest& request) override;
    Result<api::VolumeInfo> inspect(const std::string& name) override;
    Status remove(const std::string& name) override;

    // After the containers: removals are finished, what was filled half-way is emptied.
    Status recover();

    // Refuses sources that may not be bound; those of binds become free of links.
    Status admit(std::vector<core::MountRecord>& mounts) const;
    // In the caller's transaction, with the container's record in it: gives the volumes that did
    // not exist before.
    Result<std::vector<std::string>> reserve(const core::ContainerRecord& container);
    Result<PreparedMounts> prepare(const core::ContainerRecord& container);
    // In the caller's transaction: what was to be filled is.
    Status settle(const PreparedMounts& prepared);
    // In the transaction that removes the container: volumes that its create had made go with it
    // unless somebody has put something into them.
    Status drop(const std::vector<std::string>& made);
    // After that transaction: files of dropped volumes, contents of half-filled ones.
    void tidy(const std::vector<std::string>& names);

  private:
    Result<core::VolumeRecord> find(const std::string& name);
    Result<api::VolumeInfo> to_info(const core::VolumeRecord& record);
    Result<std::vector<std::string>> user_names(const std::string& name);
    Result<bool> attached_elsewhere(const std::string& name, const std::string& container_id);
    Status prepare_volume(const core::ContainerRecord& container, const core::MountRecord& mount,
                          PreparedMounts& out);
    // The caller holds the volume's lock.
    Status make_folder(const std::string& name) const;
    Status wipe(const std::string& name);
    Status finish_removal(const std::string& name);
    Status put_in_order(const std::string& name);

    const Paths& paths_;
    store::Store& store_;
    KeyedMutex locks_;
};

}  // namespace raind::runtime
