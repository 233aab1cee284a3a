// What the shim's loop holds: connections of shim.sock and processes started by exec. Plain parts
// with their buffers; the decisions are in shim.cpp. Internal to the shim.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "droplet/frames.h"
#include "droplet/spec.h"

namespace raind::droplet {

// How a process ended.
struct Ending {
    int exit_code = 0;   // 128 + signal after a signal
    std::string signal;  // "KILL", empty without one
};
Ending ending_of(int wait_status);
std::string ending_json(const Ending& ending);

struct ShimExec;

// One connection. Bytes in and out are buffered; nothing here blocks.
struct ShimClient {
    enum class Mode { Request, Attach, Exec, Wait, Closing };

    UniqueFd fd;
    Mode mode = Mode::Request;
    std::string in;
    std::string out;
    ShimExec* exec = nullptr;
    bool dead = false;

    // False when the peer has gone.
    bool receive();
    void flush();
    void frame(std::uint8_t type, std::string_view payload) { out += pack_frame(type, payload); }
    bool wants_input() const;
};

// One process of exec: its pipes and the client that is joined to it.
struct ShimExec {
    std::string id;
    ShimClient* client = nullptr;
    UniqueFd helper;  // says whether the start succeeded
    int helper_pid = 0;
    int pid = 0;
    UniqueFd pidfd;
    UniqueFd input;
    UniqueFd output;
    UniqueFd errors;
    std::string pending_input;
    bool input_ended = false;
    bool detached = false;
    std::optional<Ending> ending;
    std::size_t dropped = 0;
    bool done = false;

    void feed();
    bool may_read() const;
};

struct StreamPipes {
    UniqueFd input_read, input_write;
    UniqueFd output_read, output_write;
    UniqueFd error_read, error_write;
};
enum class InputPipe { Null, Pipe };
Result<StreamPipes> make_streams(InputPipe input);
// In a child: the pipes become 0, 1, 2; everything else but `keep` is closed.
void take_streams(const StreamPipes& pipes, const std::vector<int>& keep);

// shim.sock in the folder, listening, mode 0600, however long the path is.
Result<UniqueFd> listen_in(const std::string& folder);
bool peer_is_root(int fd);

// The cgroup of the shim itself, beside the container's.
class ShimCgroup {
  public:
    static ShimCgroup join(const std::string& container_cgroup, const std::string& id);
    // Leaves it (for the root of the hierarchy) and removes it.
    void leave();

  private:
    std::string path_;
};
std::string shim_cgroup_of(const std::string& container_cgroup, const std::string& id);

}  // namespace raind::droplet
