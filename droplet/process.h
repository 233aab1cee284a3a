// What turns the waiting process (of create or exec) into the container's program: identity,
// capabilities, limits, filter, look-up of the program. Everything runs in that process itself,
// inside the container, except apply_limits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "droplet/seccomp.h"
#include "droplet/spec.h"

namespace raind::droplet {

// argv or envp: pointers into `strings`, ended by a null pointer.
std::vector<char*> c_strings(const std::vector<std::string>& strings);

// Default action for every signal, nothing blocked.
void reset_signals();

// Sets rlimits and oom_score_adj of the waiting process from outside, with the host's privileges.
Status apply_limits(int pid, const Process& process);

// 126 or 127 as shells mean them; kBadRequest: what was asked for cannot be; 0: no such meaning.
inline constexpr int kBadRequest = 125;
struct LaunchError {
    Error error;
    int exit_code = 0;
};

class Launch {
  public:
    Launch(Process process, std::optional<SeccompProgram> seccomp)
        : process_(std::move(process)), seccomp_(std::move(seccomp)) {}

    // Inside the root: umask, groups, HOME, working directory, the program's path. Looks with the
    // identity and capabilities that the program will have.
    std::optional<LaunchError> prepare();
    // Opens what is needed for the LSM while /proc is still the runtime's.
    Status open_lsm();
    // The last steps and execve: returns only with an error.
    LaunchError run();

    Process& process() { return process_; }

  private:
    Status settle_user();
    Status look_like_user();
    Status look_like_root();
    Status enter_cwd();
    std::optional<LaunchError> find_program();
    Status become_user();

    Process process_;
    std::optional<SeccompProgram> seccomp_;
    std::string program_;
    UniqueFd lsm_;
};

// Program look-up by itself: the given PATH (or the default one), rights of the calling process.
std::optional<LaunchError> look_up_program(const std::string& name,
                                           const std::vector<std::string>& env,
                                           std::string& program);

}  // namespace raind::droplet
