#include "userspace/api/http/watch.h"

#include <array>
#include <cstdint>
#include <poll.h>
#include <sys/eventfd.h>

namespace raind::api::http {

Result<std::unique_ptr<ClientWatch>> ClientWatch::begin(int fd,
                                                        const std::stop_token& server_stop) {
    UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake)
        return os_error("eventfd");
    return std::unique_ptr<ClientWatch>(new ClientWatch(fd, std::move(wake), server_stop));
}

ClientWatch::ClientWatch(int fd, UniqueFd wake, const std::stop_token& server_stop)
    : wake_(std::move(wake)),
      server_stop_(server_stop),
      thread_([this, fd] { run(fd); }),
      on_server_stop_(server_stop, Waker{this}) {
}

ClientWatch::~ClientWatch() {
    wake();
}

void ClientWatch::wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(wake_.get(), &one, sizeof one);
}

void ClientWatch::run(int fd) {
    std::array<pollfd, 2> entries{pollfd{fd, POLLRDHUP, 0}, pollfd{wake_.get(), POLLIN, 0}};
    while (::poll(entries.data(), entries.size(), -1) < 0 && errno == EINTR) {
    }
    // Woken by the end of the call: nobody looks at the token any more.
    source_.request_stop();
}

}  // namespace raind::api::http
