// ClientWatch fires a stop token when the client of a long call is gone or the server stops, while
// the connection's own thread is busy in the call. It only polls the socket for a hang-up and never
// touches the TLS session, which belongs to the connection's thread.
#pragma once

#include <memory>
#include <stop_token>
#include <thread>

#include "raind/result.h"
#include "raind/unique_fd.h"

namespace raind::api::http {

class ClientWatch {
  public:
    // `fd` stays the caller's and has to outlive the watch.
    static Result<std::unique_ptr<ClientWatch>> begin(int fd, const std::stop_token& server_stop);
    ClientWatch(const ClientWatch&) = delete;
    ClientWatch& operator=(const ClientWatch&) = delete;
    ~ClientWatch();

    std::stop_token token() const { return source_.get_token(); }

  private:
    ClientWatch(int fd, UniqueFd wake, const std::stop_token& server_stop);
    void run(int fd);
    void wake() const;

    struct Waker {
        const ClientWatch* watch;
        void operator()() const { watch->wake(); }
    };

    UniqueFd wake_;
    std::stop_source source_;
    std::stop_token server_stop_;
    std::jthread thread_;
    std::stop_callback<Waker> on_server_stop_;
};

}  // namespace raind::api::http
