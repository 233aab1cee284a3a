// The container's first process, from clone to execve, and the messages between it and create.
//
// create (privileged side)            first process (inside the namespaces)
//   "go" after the id maps       ->     becomes root inside
//   "fd <name>" + descriptor ... ->
//   "setup"                      ->     mounts, devices, names, sysctls
//                                <-   "mounted"
//   (prestart, createRuntime)
//   "hooks <pid>"                ->     createContainer hooks, root switch, masks
//                                <-   "sealed"
//   (rlimits, oom score)
//   "limits"                     ->     look-up of the program
//                                <-   "ready", then waits for a byte in exec.fifo
// At any point the first process may send "error\n<stage>\n<exit code>\n<text>" and end.
#pragma once

#include <optional>
#include <string>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "droplet/seccomp.h"
#include "droplet/spec.h"
#include "droplet/state.h"

namespace raind::droplet {

struct InitPlan {
    const Spec& spec;
    State state;  // as the hooks see it; the pid comes with "hooks"
    std::optional<SeccompProgram> seccomp;
    UniqueFd socket;
    UniqueFd fifo;    // exec.fifo, open for both directions
    UniqueFd result;  // exec.result, open for writing
    int preserve_fds = 0;
    bool new_keyring = true;
};

[[noreturn]] void run_init(InitPlan plan);

// A failure as the first process reports it.
struct InitFailure {
    std::string stage;
    int exit_code = 0;  // 126, 127 or 0
    std::string text;
};
std::string encode_failure(const InitFailure& failure);
std::optional<InitFailure> decode_failure(std::string_view text);

// Written to exec.result right before execve.
constexpr char kAboutToExec = 'E';

}  // namespace raind::droplet
