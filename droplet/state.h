// The state folder of one container, ROOT/ID: state.json, the copy of config.json, the FIFOs of
// start, and the lock. A folder appears complete (built under a hidden name, then renamed) and is
// used by one changing command at a time; the lock ends with its process, however it ends.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

namespace raind::droplet {

struct ProcessMark {
    int pid = 0;
    unsigned long long start_time = 0;
};

struct State {
    std::string oci_version;
    std::string id;
    std::string bundle;
    std::string rootfs;
    std::string created;
    std::string boot_id;
    bool creating = true;    // until create is through
    bool hooks_ran = false;  // a create hook has run: poststop is due
    ProcessMark init;
    ProcessMark creator;
    int shim_pid = 0;
    std::string cgroup;
    std::vector<std::string> cgroup_made;
    std::map<std::string, std::string> annotations;
};

enum class RunStatus { Creating, Created, Running, Stopped };
std::string to_string(RunStatus status);

class StateFolder {
  public:
    StateFolder(StateFolder&&) noexcept = default;
    StateFolder& operator=(StateFolder&&) noexcept = default;

    // Makes a new container's folder, locked. AlreadyExists if the id is in use.
    static Result<StateFolder> make(const std::string& root, const State& state,
                                    const std::string& config);
    // "does not exist" for an unknown id.
    static Result<StateFolder> open(const std::string& root, const std::string& id);
    // The same with the lock, waiting for another command a bounded time. With `kill_holder` a
    // command that holds it is killed.
    enum class Wait { Politely, KillHolder };
    static Result<StateFolder> open_locked(const std::string& root, const std::string& id,
                                           Wait wait);

    const std::string& path() const { return path_; }
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    // A folder without a readable state is what an interrupted make or delete leaves.
    Result<State> load() const;
    Status save(const State& state) const;
    Status remove();
    void unlock() { lock_.reset(); }

    // What is true now, from the process itself and not from what was written down.
    RunStatus status(const State& state) const;

  private:
    explicit StateFolder(std::string path) : path_(std::move(path)) {}
    Status lock(Wait wait);

    std::string path_;
    UniqueFd lock_;
};

// True when exactly this process (not another one with its number) is there and no zombie.
bool is_alive(const ProcessMark& mark);
// A descriptor for exactly this process; "no such process" otherwise.
Result<UniqueFd> open_process(const ProcessMark& mark);
Result<ProcessMark> mark_of(int pid);

// The ids below the root; hidden entries are not containers.
Result<std::vector<std::string>> list_ids(const std::string& root);
// Folders of this id that were never published because their maker died.
void remove_abandoned(const std::string& root, const std::string& id);

// The state as OCI shows it, to users and to hooks.
std::string oci_state_json(const State& state, const std::string& status, int pid);

constexpr const char* kExecFifo = "exec.fifo";
constexpr const char* kResultFifo = "exec.result";

}  // namespace raind::droplet
