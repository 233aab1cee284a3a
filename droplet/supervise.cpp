#include "droplet/supervise.h"

#include <cerrno>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include "droplet/syscalls.h"

namespace raind::droplet {

namespace {

sigset_t forwarded() {
    sigset_t set;
    ::sigfillset(&set);
    for (const int number : {SIGURG, SIGPIPE, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP})
        ::sigdelset(&set, number);
    return set;
}

}  // namespace

void hold_signals() {
    const sigset_t set = forwarded();
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

int supervise(int pid, int pidfd) {
    const sigset_t set = forwarded();
    while (true) {
        int status = 0;
        const pid_t ended = ::waitpid(pid, &status, WNOHANG);
        if (ended == pid)
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (ended < 0 && errno == ECHILD)
            return 255;
        const int number = ::sigwaitinfo(&set, nullptr);
        if (number > 0 && number != SIGCHLD)
            static_cast<void>(pidfd_signal(pidfd, number));
        // A subreaper also gets children that are not its own.
        while (number == SIGCHLD) {
            siginfo_t info{};
            if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 ||
                info.si_pid == pid)
                break;
            ::waitpid(info.si_pid, nullptr, WNOHANG);
        }
    }
}

}  // namespace raind::droplet
