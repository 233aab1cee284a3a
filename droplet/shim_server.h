// The shim's poll loop after create: output to the log and to attached clients, requests of
// shim.sock, processes of exec, and the end of the container. One thread; nothing in it blocks
// except the writes to the log file.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "raind/shim_protocol.h"

#include "droplet/container.h"
#include "droplet/init.h"
#include "droplet/shim.h"
#include "droplet/shim_log.h"
#include "droplet/shim_parts.h"

namespace raind::droplet {

struct ShimResources {
    ShimOptions options;
    ProcessMark init;
    UniqueFd init_pidfd;
    std::string cgroup;
    UniqueFd listener;
    UniqueFd signals;
    UniqueFd output;
    UniqueFd errors;
    ShimLog log;
    ShimCgroup own_cgroup;
};

class ShimServer {
  public:
    ShimServer(ShimResources resources, Logger& log) : r_(std::move(resources)), log_(&log) {}

    int init_pid() const { return r_.init.pid; }
    // Until the container has ended and exit.json is on disk.
    int run();

  private:
    struct Watch;
    std::vector<Watch> watches();
    void step(int timeout);
    bool finished();

    void handle_signals();
    void reap();
    bool note_end(int pid, int status);
    void container_ended(const Ending& ending);
    Status write_exit_file(const Ending& ending);

    void read_output(UniqueFd& fd, OutputStream stream);
    void read_exec_output(ShimExec& exec, UniqueFd& fd, std::uint8_t type);
    void drain_exec(ShimExec& exec);
    void helper_spoke(ShimExec& exec);
    void finish_exec(ShimExec& exec);
    void clean_up();

    void accept_client();
    void client_ready(ShimClient& client);
    void handle_request(ShimClient& client, const std::string& line);
    Status dispatch(ShimClient& client, const std::string& line);
    Status start_exec(ShimClient& client, const std::string& exec_id, Process process,
                      bool detached);
    void handle_frames(ShimClient& client);
    void answer(ShimClient& client, const std::string& json);
    void refuse(ShimClient& client, const std::string& text, const Progress& progress);
    ShimExec* find_exec(const std::string& id);

    ShimResources r_;
    Logger* log_;
    std::list<std::unique_ptr<ShimClient>> clients_;
    std::list<std::unique_ptr<ShimExec>> execs_;
    std::optional<Ending> ending_;
    bool oom_ = false;
};

}  // namespace raind::droplet
