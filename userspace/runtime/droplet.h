// The daemon's side of the low-level runtime: starts a shim per container, drives droplet's
// commands and speaks to shim.sock. Holds no state of its own beyond paths; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/common/clock.h"
#include "userspace/common/fs.h"

namespace raind::runtime {

struct ShimStarted {
    int shim_pid = 0;
    std::uint64_t shim_start = 0;  // start time, so that a reused pid is recognised
    int init_pid = 0;
};

// exit.json as the shim leaves it.
struct ExitRecord {
    int code = 0;  // 128+N for a signal
    std::string reason;
    std::string message;
    WallTime time;
};

class Droplet {
  public:
    Droplet(stdfs::path program, stdfs::path state_root, stdfs::path audit_log)
        : program_(std::move(program)),
          state_root_(std::move(state_root)),
          audit_log_(std::move(audit_log)) {}

    // Starts `droplet shim` in a session of its own and in the given cgroup; returns when the
    // container is created (its first process waits) or failed to be.
    Result<ShimStarted> create(const std::string& id, const stdfs::path& bundle, int cgroup_fd,
                               std::chrono::seconds limit) const;
    Status start(const std::string& id) const;
    // Removes what droplet holds of the container, alive or not; unknown ids are success.
    Status remove(const std::string& id) const;
    Result<std::vector<std::string>> list() const;

    // A connected shim.sock after the handshake of one request (raind/shim_protocol.h). Conflict
    // when the container has ended in the meantime and nobody listens there.
    Result<UniqueFd> request(const stdfs::path& bundle, const nlohmann::json& request) const;
    Status signal(const stdfs::path& bundle, const std::string& name) const;

  private:
    Result<std::string> run(std::initializer_list<std::string> args) const;
    stdfs::path program_;
    stdfs::path state_root_;
    stdfs::path audit_log_;
};

// Absent while the container runs.
Result<std::optional<ExitRecord>> read_exit(const stdfs::path& bundle);

// True when the process with this pid began at this time.
bool is_alive(int pid, std::uint64_t start_time);

Result<std::string> boot_id();

}  // namespace raind::runtime
