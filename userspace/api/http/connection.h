// Connection: one accepted socket with its TLS session and read buffer. Every operation has a
// deadline; none blocks longer. Owned and used by one thread; only interrupt() may be called by
// others while the object lives.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/api/http/tls.h"
#include "userspace/api/http/types.h"

namespace raind::api::http {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

class Connection {
  public:
    Connection(UniqueFd fd, std::string peer_ip);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    // Afterwards peer() is filled, with a refusal when the certificate names nobody.
    Status handshake(const TlsServer& tls, Deadline deadline);
    const Peer& peer() const { return peer_; }
    int fd() const { return fd_.get(); }

    // Bytes that were read and not yet taken.
    std::string_view buffered() const { return std::string_view(buffer_).substr(offset_); }
    void consume(std::size_t bytes);
    // Reads more into the buffer: true, or false at the end of the stream.
    Result<bool> fill(Deadline deadline);
    // true when fill() would not have to wait for the socket.
    bool pending() const;
    Status write_all(std::string_view bytes, Deadline deadline);
    // What goes out without waiting; 0: nothing now.
    Result<std::size_t> write_some(std::string_view bytes);

    // The other side has closed its sending direction or is gone.
    bool peer_gone() const;
    // Sends what TLS wants to say at the end and waits shortly for the other side to read the
    // answer: closing with unread input would reset the connection and lose it.
    void close_gently();
    // Any thread: makes every operation fail from now on.
    void interrupt() const;

  private:
    Status wait_for(short events, Deadline deadline) const;
    // What to do after an SSL call gave `code`: nothing means try again.
    Result<bool> after_ssl(int code, Deadline deadline);
    void identify(const pki::Certificate& certificate);

    UniqueFd fd_;
    ShownCertificate shown_;
    SslPtr ssl_;
    Peer peer_;
    std::string buffer_;
    std::size_t offset_ = 0;
    bool established_ = false;
};

}  // namespace raind::api::http
