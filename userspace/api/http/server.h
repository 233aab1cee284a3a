// Server: listener, connections and threads of one authenticated listener. One thread accepts; each
// connection has a thread of its own, so that a slow or idle client keeps nobody waiting; the work
// is bounded by the number of connections and the call gate. start(), stop(), reload_tls() and the
// readers may be called by any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/api/http/limits.h"
#include "userspace/api/http/tls.h"
#include "userspace/api/http/types.h"

namespace raind::api::http {

struct ServerOptions {
    std::string address = "127.0.0.1";
    std::uint16_t port = 7755;  // 0: a free one
    TlsFiles tls;
    Limits limits;
};

class Server {
  public:
    // Listens and serves; `factory` has to outlive the server.
    static Result<std::unique_ptr<Server>> start(ServerOptions options, CallFactory& factory);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

    std::uint16_t port() const { return port_; }
    // "127.0.0.1:7755", "[::1]:7755".
    std::string address() const;
    // Reads the certificate files again; new connections use them.
    Status reload_tls();
    // Takes no more connections, lets running calls end, then closes everything. Idempotent.
    void stop();

    std::uint64_t connections_total() const { return accepted_.load(); }
    std::size_t connections_now();

  private:
    class Session;

    Server(ServerOptions options, CallFactory& factory, TlsServer tls);
    Status listen();
    Status listen_on(int family, const void* address, unsigned size);
    void accept_loop();
    void accept_one();
    void reap();
    bool make_room();
    std::shared_ptr<const TlsServer> tls();

    const ServerOptions options_;
    CallFactory& factory_;
    CallGate gate_;
    UniqueFd listener_;
    UniqueFd wake_;
    std::uint16_t port_ = 0;
    std::atomic<std::uint64_t> accepted_ = 0;
    std::stop_source stop_;
    std::mutex tls_mutex_;  // guards tls_
    std::shared_ptr<const TlsServer> tls_;
    std::mutex sessions_mutex_;  // guards sessions_
    std::list<std::unique_ptr<Session>> sessions_;
    std::jthread acceptor_;
};

}  // namespace raind::api::http
