// Session: one connection from handshake to close, on a thread of its own. Part of server.cpp's
// implementation.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "userspace/api/http/connection.h"
#include "userspace/api/http/limits.h"
#include "userspace/api/http/server.h"

namespace raind::api::http {

class Engine;

class Server::Session {
  public:
    // What a session needs of its server.
    struct Shared {
        CallFactory& factory;
        CallGate& gate;
        const Limits& limits;
        std::stop_token stop;
    };

    Session(UniqueFd fd, std::string peer_ip, std::shared_ptr<const TlsServer> tls, Shared shared,
            std::function<void()> on_end);
    ~Session();

    bool over() const { return over_.load(); }
    // Waiting for the client's next request since that time (steady clock, ms); 0: not idle.
    std::int64_t idle_since() const { return idle_since_.load(); }
    bool in_call() const { return in_call_.load(); }
    void interrupt() const { connection_.interrupt(); }

  private:
    void run();
    void serve();
    Result<std::string> read_head(std::chrono::milliseconds limit);
    bool one_request(std::chrono::milliseconds limit);
    void upgrade(const RequestHead& head, Call& call);
    void send_whole(const Response& response);
    void refuse_head(int status, std::string_view reason);

    std::shared_ptr<const TlsServer> tls_;
    Shared shared_;
    std::function<void()> on_end_;
    Connection connection_;
    std::unique_ptr<Engine> engine_;
    std::atomic<bool> over_ = false;
    std::atomic<bool> in_call_ = false;
    std::atomic<std::int64_t> idle_since_ = 0;
    std::jthread thread_;  // last: it uses everything above
};

}  // namespace raind::api::http
