#include "cli/stop_on_signal.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/api_client.h"
#include "cli/command_util.h"
#include "cli/container_io.h"
#include "cli/context.h"
#include "userspace/common/json.h"

namespace raind::cli {

namespace {

// The next held-back signal, 0 when there is no more to wait for.
int next_signal(int signals, int over) {
    while (true) {
        std::array<pollfd, 2> events{pollfd{signals, POLLIN, 0}, pollfd{over, POLLIN, 0}};
        if (poll(events.data(), events.size(), -1) < 0) {
            if (errno == EINTR)
                continue;
            return 0;
        }
        if (events[1].revents != 0)
            return 0;
        signalfd_siginfo info{};
        if (::read(signals, &info, sizeof info) == sizeof info)
            return static_cast<int>(info.ssi_signo);
    }
}

void stop(const Endpoint& endpoint, const std::string& container) {
    // The connection of the command is taken by its wait.
    ApiClient api(endpoint);
    const auto done = api.call({.method = "POST",
                                .target = container_target(container, "/actions/stop"),
                                .attempt = fmt::format("stop container {}", in_quotes(container)),
                                .patience = kStopPatience});
    if (!done)
        print_error(done.error(), false);
}

// The parent sees by which signal this process ended.
void end_by(int signal) {
    std::signal(signal, SIG_DFL);
    sigset_t set{};
    sigemptyset(&set);
    sigaddset(&set, signal);
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    ::kill(::getpid(), signal);
}

void watch(const Endpoint& endpoint, const std::string& container, int signals, int over) {
    if (next_signal(signals, over) == 0)
        return;
    // The daemon takes its time for a stop: the second signal is not to wait for that.
    std::thread stopper(stop, endpoint, container);
    if (const int second = next_signal(signals, over); second != 0)
        end_by(second);
    stopper.join();
}

}  // namespace

StopOnSignal::StopOnSignal(Endpoint endpoint, std::string container,
                           const SignalForwarding& signals)
    : over_(::eventfd(0, EFD_CLOEXEC)),
      watcher_([endpoint = std::move(endpoint), container = std::move(container), fd = signals.fd(),
                over = over_.get()] { watch(endpoint, container, fd, over); }) {
}

StopOnSignal::~StopOnSignal() {
    static_cast<void>(::eventfd_write(over_.get(), 1));
    watcher_.join();
}

}  // namespace raind::cli
