// The life of containers: create, start, stop, kill, remove, exec, logs, and what happens when one
// ends by itself. Owns no kernel object; drives store, droplet, cgroups and datapath in the order
// of docs/developer/life-of-a-container.md. Thread-safe: one lock per container, store transactions
// for names, addresses and ranges.
//
// Every change is recorded as an operation before its first effect; recover() finishes or undoes
// what a crash interrupted and brings records and kernel together.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "userspace/core/services.h"
#include "userspace/runtime/apparmor.h"
#include "userspace/runtime/cgroup.h"
#include "userspace/runtime/datapath.h"
#include "userspace/runtime/droplet.h"
#include "userspace/runtime/image_source.h"
#include "userspace/runtime/keyed_mutex.h"
#include "userspace/runtime/paths.h"
#include "userspace/runtime/supervisor.h"
#include "userspace/runtime/volume_manager.h"
#include "userspace/store/store.h"

namespace raind::runtime {

struct ContainerDeps {
    const Paths& paths;
    store::Store& store;
    const Droplet& droplet;
    CgroupTree& cgroups;
    Datapath& datapath;
    ImageSource& images;
    const AppArmor& apparmor;
    VolumeManager& volumes;
    // Called after the set of existing containers or endpoints has changed.
    std::function<void()> changed;
};

class ContainerManager final : public core::ContainerService {
  public:
    explicit ContainerManager(ContainerDeps deps) : deps_(std::move(deps)) {}

    // Before anything else: what a crash or a reboot left is brought in order.
    Status recover();
    // Watches the shims of running containers; call once, after recover().
    Status start_supervision();
    // Every two seconds: the ports of attached containers are as they were made, and an end that
    // could not be finished is tried again.
    void watch_containers();

    Result<std::vector<api::ContainerInfo>> list() override;
    Result<api::ContainerInfo> inspect(const std::string& container) override;
    Result<std::string> create(const api::CreateContainerRequest& request) override;
    Status start(const std::string& container) override;
    Status stop(const std::string& container) override;
    Status kill(const std::string& container, const std::string& signal) override;
    Status remove(const std::string& container) override;
    Result<api::WaitResult> wait(const std::string& container, std::stop_token stop) override;
    Result<api::ExecCreated> exec(const std::string& container,
                                  const api::ExecRequest& request) override;
    Result<core::ExecStream> join_exec(const std::string& container,
                                       const std::string& exec_id) override;
    Status log(const std::string& container, const core::LogQuery& query,
               const std::function<bool(std::string_view)>& sink, std::stop_token stop) override;
    Result<std::string> log_path(const std::string& container) override;

  private:
    using Record = core::ContainerRecord;

    // What a create has taken: finished or undone with its operation.
    struct Reserved {
        Record record;
        std::int64_t operation = 0;
        std::vector<std::string> made_volumes;
    };
    // Name, ids, addresses, identity and volumes in one transaction, with the intent.
    Result<Reserved> reserve(const std::string& name, core::ContainerOptions checked,
                             const UsableImage& image);
    BundleSpec bundle_spec(const Record& record, const ImageDefaults& image,
                           const PreparedMounts& mounts) const;
    // First process waiting, volumes filled, endpoint attached; on failure nothing of this
    // incarnation is left.
    Status bring_up(Record& record, const PreparedMounts& mounts);
    // The same for a stopped container.
    Status bring_up_again(Record& record);
    // Ends an incarnation: processes, endpoint, cgroups, droplet's state. Idempotent.
    Status tear_down(Record& record);
    // Everything of the container, records last. Volumes that an undone create had made go too.
    Status erase(Record& record, std::int64_t operation,
                 const std::vector<std::string>& made_volumes = {});
    // From here on the caller holds the container's lock.
    Status stop_locked(Record& record);
    Status finish_exit(Record& record);
    Status remove_locked(Record& record);
    Supervisor::Handled on_shim_end(const std::string& id);
    Status supervise(const Record& record);
    Result<bool> wait_shim(const Record& record, std::chrono::milliseconds limit) const;
    void notify();
    // The end of a container is known to who waits for it even when its record is gone already.
    void remember_end(const Record& record);
    std::optional<api::WaitResult> remembered_end(const std::string& id);

    Status recover_operations();
    Status recover_container(Record& record, const std::string& boot);
    Status remove_strays(const std::vector<Record>& records);

    Result<nlohmann::json> exec_process(const Record& record,
                                        const api::ExecRequest& request) const;

    struct PendingExec {
        std::string container_id;
        std::string process;  // JSON text
        std::chrono::steady_clock::time_point made;
    };

    ContainerDeps deps_;
    KeyedMutex locks_;
    std::mutex reserve_mutex_;  // choices and their transaction
    std::mutex state_mutex_;    // guards version_, with state_changed_, and ends_
    std::condition_variable_any state_changed_;
    std::uint64_t version_ = 0;
    std::deque<std::pair<std::string, api::WaitResult>> ends_;  // of removed ones, the newest last
    std::mutex exec_mutex_;                                     // guards execs_
    std::map<std::string, PendingExec> execs_;
    std::unique_ptr<Supervisor> supervisor_;
};

// How a record looks to clients.
api::ContainerInfo to_info(const core::ContainerRecord& record,
                           const std::vector<std::string>& warnings);
std::vector<api::MountInfo> mount_infos(const core::ContainerRecord& record, const Paths& paths);
const char* state_name(core::ContainerState state);

}  // namespace raind::runtime
