#include "droplet/hooks.h"

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "droplet/process.h"
#include "droplet/sha256.h"
#include "droplet/syscalls.h"
#include "userspace/common/process.h"

namespace raind::droplet {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kOutputTail = 1024;

[[noreturn]] void become_hook(const Hook& hook, const HookRun& run, int input, int output) {
    ::setpgid(0, 0);
    reset_signals();
    if (::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 ||
        ::dup2(output, STDERR_FILENO) < 0)
        ::_exit(127);
    close_all_but(3, {});
    if (::chdir(run.working_dir.c_str()) != 0)
        ::_exit(127);
    ::execve(hook.path.c_str(), c_strings(hook.args).data(), c_strings(hook.env).data());
    const std::string text = hook.path + ": " + errno_text(errno) + "\n";
    static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
    ::_exit(127);
}

// Moves the state in and the output out until the hook has ended, both without blocking.
class HookTalk {
  public:
    HookTalk(UniqueFd input, UniqueFd output, std::string_view state)
        : input_(std::move(input)), output_(std::move(output)), state_(state) {
        ::fcntl(input_.get(), F_SETFL, O_NONBLOCK);
        ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
    }

    // False when the time is over before the process has ended.
    bool run(int pidfd, Clock::time_point deadline, bool limited) {
        while (true) {
            int wait = -1;
            if (limited) {
                const auto left =
                    std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
                if (left.count() <= 0)
                    return false;
                wait = static_cast<int>(left.count());
            }
            pollfd entries[3] = {
                {pidfd, POLLIN, 0}, {input_.get(), POLLOUT, 0}, {output_.get(), POLLIN, 0}};
            if (::poll(entries, 3, wait) < 0 && errno != EINTR)
                return false;
            if (entries[1].revents != 0)
                feed();
            if (entries[2].revents != 0)
                drain();
            if (entries[0].revents != 0) {
                drain();
                return true;
            }
        }
    }

    std::string tail() const {
        std::string out = text_;
        while (!out.empty() && (out.back() == '\n' || out.back() == ' '))
            out.pop_back();
        return out;
    }

  private:
    void feed() {
        const ssize_t n = ::write(input_.get(), state_.data(), state_.size());
        if (n > 0)
            state_.remove_prefix(static_cast<std::size_t>(n));
        // A hook need not read its input: EPIPE is no failure.
        if (state_.empty() || (n < 0 && errno != EAGAIN && errno != EINTR))
            input_.reset();
    }
    void drain() {
        char buffer[4096];
        ssize_t n = 0;
        while ((n = ::read(output_.get(), buffer, sizeof buffer)) > 0) {
            text_.append(buffer, static_cast<std::size_t>(n));
            if (text_.size() > kOutputTail)
                text_.erase(0, text_.size() - kOutputTail);
        }
        if (n == 0)
            output_.reset();
    }

    UniqueFd input_;
    UniqueFd output_;
    std::string_view state_;
    std::string text_;
};

void tell_audit(const Hook& hook, const HookRun& run, AuditHook done, const std::string& error) {
    if (run.log == nullptr)
        return;
    std::string words;
    for (const std::string& word : hook.args)
        words += word + '\0';
    done.phase = run.phase;
    done.path = hook.path;
    done.args_sha256 = sha256_hex(words);
    done.stdin_sha256 = sha256_hex(run.state);
    done.stdin_bytes = run.state.size();
    AuditRecord record;
    record.event = "hook";
    record.container_id = run.container_id;
    record.bundle = run.working_dir;
    record.hook = &done;
    record.good = error.empty();
    record.stage = "hook_" + std::string(run.phase == "createRuntime"     ? "create_runtime"
                                         : run.phase == "createContainer" ? "create_container"
                                                                          : run.phase);
    record.message = error;
    run.log->audit(record);
}

Status run_hook(const Hook& hook, const HookRun& run) {
    const auto begin = Clock::now();
    RAIND_TRY(auto input, make_pipe());
    RAIND_TRY(auto output, make_pipe());
    RAIND_TRY(const CloneResult child, clone_process({}));
    if (child.pid == 0)
        become_hook(hook, run, input.first.get(), output.second.get());
    input.first.reset();
    output.second.reset();
    ::setpgid(child.pid, child.pid);
    HookTalk talk(std::move(input.second), std::move(output.first), run.state);
    const bool ended =
        talk.run(child.pidfd.get(), Clock::now() + std::chrono::seconds(hook.timeout_seconds),
                 hook.timeout_seconds > 0);
    if (!ended)
        ::kill(-child.pid, SIGKILL);
    int status = 0;
    while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    AuditHook done;
    done.duration_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
    done.output_tail = talk.tail();
    if (ended && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        tell_audit(hook, run, std::move(done), {});
        return {};
    }
    done.exit_code = !ended                ? 255
                     : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                           : WEXITSTATUS(status);
    std::string text = "hook " + hook.path + ": ";
    if (!ended)
        text += "not done after " + std::to_string(hook.timeout_seconds) + " s";
    else if (WIFSIGNALED(status))
        text += "ended by signal " + signal_name(WTERMSIG(status));
    else
        text += "exit status " + std::to_string(WEXITSTATUS(status));
    const std::string tail = talk.tail();
    if (!tail.empty())
        text += ": " + tail;
    tell_audit(hook, run, std::move(done), text);
    return Error(Errc::Internal, text);
}

Status run_numbered(const std::vector<Hook>& hooks, std::size_t i, const HookRun& run) {
    return run_hook(hooks[i], run)
        .context("hooks." + std::string(run.phase) + "[" + std::to_string(i) + "]");
}

}  // namespace

Status run_hooks(const std::vector<Hook>& hooks, const HookRun& run) {
    for (std::size_t i = 0; i < hooks.size(); ++i)
        RAIND_CHECK(run_numbered(hooks, i, run));
    return {};
}

void run_all_hooks(const std::vector<Hook>& hooks, const HookRun& run, Logger& log) {
    for (std::size_t i = 0; i < hooks.size(); ++i)
        if (const auto done = run_numbered(hooks, i, run); !done)
            log.warning(done.error().message());
}

}  // namespace raind::droplet
