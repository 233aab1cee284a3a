#include "userspace/common/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "userspace/common/fs.h"

namespace raind {
namespace {

std::vector<char*> to_argv(const std::vector<std::string>& words) {
    std::vector<char*> out;
    out.reserve(words.size() + 1);
    for (const std::string& word : words)
        out.push_back(const_cast<char*>(word.c_str()));  // execve(2) does not write through it
    out.push_back(nullptr);
    return out;
}

// Runs in the child between clone and execve: only async-signal-safe calls.
class ChildSetup {
  public:
    ChildSetup(const SpawnOptions& options, std::vector<std::pair<int, int>> fds, int error_fd)
        : options_(options), fds_(std::move(fds)), error_fd_(error_fd) {}

    [[noreturn]] void run(char** argv, char** envp) {
        reset_signals();
        if (options_.new_session)
            setsid();
        if (!options_.working_dir.empty() && chdir(options_.working_dir.c_str()) != 0)
            fail();
        place_descriptors();
        execve(options_.program.c_str(), argv, envp);
        fail();
    }

  private:
    [[noreturn]] void fail() {
        const int err = errno;
        (void)!write(error_fd_, &err, sizeof err);
        _exit(127);
    }

    static void reset_signals() {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        for (int number = 1; number < 32; ++number)
            signal(number, SIG_DFL);
    }

    void place_descriptors() {
        // First move every source above all targets, then down: no target overwrites a source.
        int top = 3;
        for (const auto& [from, to] : fds_)
            top = std::max(top, to + 1);
        for (auto& [from, to] : fds_)
            if ((from = fcntl(from, F_DUPFD_CLOEXEC, top)) < 0)
                fail();
        if ((error_fd_ = fcntl(error_fd_, F_DUPFD_CLOEXEC, top)) < 0)
            _exit(127);
        const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd < 3; ++fd)
            dup2(null, fd);
        for (const auto& [from, to] : fds_)
            if (dup2(from, to) < 0)
                fail();
        for (int fd = 3; fd < top; ++fd)
            if (std::ranges::none_of(fds_, [&](const auto& pair) { return pair.second == fd; }))
                close(fd);
        syscall(SYS_close_range, static_cast<unsigned>(top), ~0U, CLOSE_RANGE_CLOEXEC_FLAG);
    }

    static constexpr unsigned CLOSE_RANGE_CLOEXEC_FLAG = 4;  // linux/close_range.h
    const SpawnOptions& options_;
    std::vector<std::pair<int, int>> fds_;
    int error_fd_;
};

long clone_child(const SpawnOptions& options, int& pidfd) {
    clone_args args{};
    args.flags = CLONE_PIDFD;
    args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
    args.exit_signal = SIGCHLD;
    if (options.cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = static_cast<std::uint64_t>(options.cgroup_fd);
    }
    return syscall(SYS_clone3, &args, sizeof args);
}

void drain(int fd, std::string& into, bool& open) {
    std::array<char, 16384> buffer{};
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n > 0 && into.size() < (1U << 20))
        into.append(buffer.data(), static_cast<std::size_t>(n));
    else if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        open = false;
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> make_pipe() {
    std::array<int, 2> fds{};
    if (pipe2(fds.data(), O_CLOEXEC) != 0)
        return os_error("pipe");
    return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

Result<Child> Child::spawn(const SpawnOptions& options) {
    RAIND_TRY(auto pipe, make_pipe());
    std::vector<char*> argv = to_argv(options.args);
    std::vector<char*> envp = to_argv(options.env);
    ChildSetup setup(options, options.fds, pipe.second.get());
    int raw_pidfd = -1;
    const long pid = clone_child(options, raw_pidfd);
    if (pid < 0)
        return os_error(fmt::format("start {}", options.program));
    if (pid == 0)
        setup.run(argv.data(), envp.data());
    UniqueFd pidfd(raw_pidfd);
    pipe.second.reset();
    int child_errno = 0;
    ssize_t n = 0;
    do {
        n = read(pipe.first.get(), &child_errno, sizeof child_errno);
    } while (n < 0 && errno == EINTR);
    Child child(static_cast<int>(pid), std::move(pidfd));
    if (n == static_cast<ssize_t>(sizeof child_errno)) {
        (void)child.wait().has_value();
        return os_error(fmt::format("start {}", options.program), child_errno);
    }
    return child;
}

Result<std::optional<ExitStatus>> Child::wait_for(std::chrono::milliseconds limit) {
    pollfd event{pidfd_.get(), POLLIN, 0};
    const auto deadline = std::chrono::steady_clock::now() + limit;
    int ready = 0;
    do {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        ready = poll(&event, 1,
                     static_cast<int>(std::clamp<long long>(left.count(), 0, 1'000'000'000)));
    } while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return std::optional<ExitStatus>();
    RAIND_TRY(const ExitStatus status, wait());
    return std::optional<ExitStatus>(status);
}

Result<ExitStatus> Child::wait() {
    siginfo_t info{};
    while (waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd_.get()), &info,
                  WEXITED) != 0)
        if (errno != EINTR)
            return os_error(fmt::format("wait for process {}", pid_));
    if (info.si_code == CLD_EXITED)
        return ExitStatus{info.si_status, 0};
    return ExitStatus{0, info.si_status};
}

Status Child::signal(int number) {
    return signal_pidfd(pidfd_.get(), number);
}

Result<UniqueFd> open_pidfd(int pid) {
    UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!fd)
        return os_error(fmt::format("pidfd of process {}", pid));
    return fd;
}

Status signal_pidfd(int pidfd, int number) {
    if (syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) != 0)
        return os_error("send signal");
    return {};
}

Result<unsigned long long> process_start_time(int pid) {
    RAIND_TRY(const std::string stat, read_file(fmt::format("/proc/{}/stat", pid), 8192));
    // The command name may hold blanks and parentheses: the fields count from the last ')'.
    std::size_t at = stat.rfind(')');
    // A process that has ended and waits to be reaped is gone for everybody but its parent.
    if (at != std::string::npos && at + 2 < stat.size() &&
        (stat[at + 2] == 'Z' || stat[at + 2] == 'X'))
        return Error(Errc::NotFound, fmt::format("process {} has ended", pid));
    for (int field = 2; field < 22 && at != std::string::npos; ++field)
        at = stat.find(' ', at + 1);
    if (at == std::string::npos)
        return Error(Errc::Internal, fmt::format("cannot read the start time of process {}", pid));
    return std::strtoull(stat.c_str() + at + 1, nullptr, 10);
}

Result<ProgramResult> run_program(SpawnOptions options, std::chrono::milliseconds limit) {
    RAIND_TRY(auto out, make_pipe());
    RAIND_TRY(auto err, make_pipe());
    options.fds.emplace_back(out.second.get(), 1);
    options.fds.emplace_back(err.second.get(), 2);
    RAIND_TRY(Child child, Child::spawn(options));
    out.second.reset();
    err.second.reset();
    ProgramResult result;
    bool out_open = true;
    bool err_open = true;
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (out_open || err_open) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            break;
        std::array<pollfd, 2> events{{{out_open ? out.first.get() : -1, POLLIN, 0},
                                      {err_open ? err.first.get() : -1, POLLIN, 0}}};
        if (poll(events.data(), events.size(), static_cast<int>(left.count())) < 0 &&
            errno != EINTR)
            return os_error("poll");
        if (events[0].revents != 0)
            drain(out.first.get(), result.output, out_open);
        if (events[1].revents != 0)
            drain(err.first.get(), result.errors, err_open);
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    RAIND_TRY(const auto ended, child.wait_for(std::max(left, std::chrono::milliseconds(0))));
    if (!ended) {
        (void)child.signal(SIGKILL).has_value();
        (void)child.wait().has_value();
        return Error(Errc::Unavailable,
                     fmt::format("{} did not end within {} ms", options.program, limit.count()));
    }
    result.status = *ended;
    return result;
}

}  // namespace raind
