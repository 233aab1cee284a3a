#include "userspace/runtime/supervisor.h"

#include <array>
#include <cstdint>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "userspace/common/log.h"

namespace raind::runtime {
namespace {

constexpr int kRetryMilliseconds = 50;

bool has_ended(int pidfd) {
    pollfd event{pidfd, POLLIN, 0};
    return poll(&event, 1, 0) == 1;
}

// Shims that this daemon started are its children; those of an earlier daemon are not (ECHILD).
void reap(int pidfd) {
    siginfo_t info{};
    (void)waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info,
                 WEXITED | WNOHANG);
}

}  // namespace

Result<std::unique_ptr<Supervisor>> Supervisor::start(Handler handler) {
    std::unique_ptr<Supervisor> self(new Supervisor(std::move(handler)));
    self->epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
    self->wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!self->epoll_ || !self->wake_)
        return os_error("supervisor");
    epoll_event event{.events = EPOLLIN, .data = {.fd = self->wake_.get()}};
    if (epoll_ctl(self->epoll_.get(), EPOLL_CTL_ADD, self->wake_.get(), &event) != 0)
        return os_error("supervisor");
    self->thread_ =
        std::jthread([raw = self.get()](const std::stop_token& stop) { raw->run(stop); });
    return self;
}

Supervisor::~Supervisor() {
    thread_.request_stop();
    const std::uint64_t one = 1;
    (void)!write(wake_.get(), &one, sizeof one);
    if (thread_.joinable())
        thread_.join();
}

Status Supervisor::watch(const std::string& container_id, UniqueFd pidfd) {
    const std::lock_guard lock(mutex_);
    // Level-triggered: a shim that waits for its container's lock wakes us until it is handled, so
    // the loop sleeps between two rounds.
    epoll_event event{.events = EPOLLIN, .data = {.fd = pidfd.get()}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, pidfd.get(), &event) != 0)
        return os_error("watch shim");
    watched_[container_id] = std::move(pidfd);
    return {};
}

void Supervisor::forget(const std::string& container_id) {
    const std::lock_guard lock(mutex_);
    const auto found = watched_.find(container_id);
    if (found == watched_.end())
        return;
    reap(found->second.get());
    watched_.erase(found);
}

void Supervisor::dispatch_ended() {
    std::vector<std::string> ended;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, pidfd] : watched_)
            if (has_ended(pidfd.get()))
                ended.push_back(id);
    }
    bool later = false;
    for (const std::string& id : ended) {
        if (handler_(id) == Handled::Done)
            forget(id);
        else
            later = true;
    }
    if (later)
        usleep(kRetryMilliseconds * 1000);
}

void Supervisor::run(const std::stop_token& stop) {
    std::array<epoll_event, 16> events{};
    while (!stop.stop_requested()) {
        const int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
        if (n < 0 && errno != EINTR) {
            log::error("supervisor: epoll: {}", std::strerror(errno));
            return;
        }
        if (!stop.stop_requested())
            dispatch_ended();
    }
}

}  // namespace raind::runtime
