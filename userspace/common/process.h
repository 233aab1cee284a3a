// One child process, held by pidfd. Programs are started by path with exactly the given arguments,
// environment and descriptors; there is never a shell.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

namespace raind {

struct SpawnOptions {
    std::string program;            // absolute path
    std::vector<std::string> args;  // argv[0] included
    std::vector<std::string> env;   // exactly this environment
    // {descriptor here, number there}; everything else is closed. 0, 1, 2 default to /dev/null.
    std::vector<std::pair<int, int>> fds;
    std::string working_dir;   // empty: unchanged
    bool new_session = false;  // setsid(2)
    // The child joins this cgroup (v2 folder descriptor) before it runs; -1: the caller's.
    int cgroup_fd = -1;
};

struct ExitStatus {
    int code = 0;  // meaningful when signal is 0
    int signal = 0;
    // As a shell shows it: 128 + signal.
    int shell_code() const { return signal != 0 ? 128 + signal : code; }
};

class Child {
  public:
    static Result<Child> spawn(const SpawnOptions& options);
    Child(Child&&) noexcept = default;
    Child& operator=(Child&&) noexcept = default;

    int pid() const { return pid_; }
    int pidfd() const { return pidfd_.get(); }
    // Waits for the end; nothing within the time.
    Result<std::optional<ExitStatus>> wait_for(std::chrono::milliseconds limit);
    Result<ExitStatus> wait();
    Status signal(int number);

  private:
    Child(int pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
    int pid_;
    UniqueFd pidfd_;
};

Result<std::pair<UniqueFd, UniqueFd>> make_pipe();  // {read, write}, close-on-exec
Result<UniqueFd> open_pidfd(int pid);
Status signal_pidfd(int pidfd, int number);
// The start time of a process in clock ticks since boot (proc(5), field 22 of stat); an error when
// it has ended, reaped or not.
Result<unsigned long long> process_start_time(int pid);

struct ProgramResult {
    ExitStatus status;
    std::string output;
    std::string errors;
};
// Runs a program to its end, standard input empty, outputs gathered up to 1 MiB each; killed at the
// limit.
Result<ProgramResult> run_program(SpawnOptions options, std::chrono::milliseconds limit);

}  // namespace raind
