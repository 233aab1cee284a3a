// A TLS 1.3 connection to the daemon with both certificates checked, non-blocking after the
// handshake. Carries the streams of exec, and finds out what is wrong with a connection: failures
// are told apart here for the HTTP client too. Owns socket and SSL objects; one thread only.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "cli/endpoint.h"
#include "cli/outcome.h"

namespace raind::cli {

enum class TlsIo { Done, WantRead, WantWrite, Closed, Failed };

struct TlsResult {
    TlsIo io = TlsIo::Failed;
    std::size_t bytes = 0;
};

class TlsSocket {
  public:
    static Outcome<TlsSocket> connect(const Endpoint& endpoint, std::chrono::milliseconds timeout);
    TlsSocket(TlsSocket&&) noexcept;
    TlsSocket& operator=(TlsSocket&&) noexcept;
    ~TlsSocket();

    int fd() const;
    TlsResult read(char* data, std::size_t size);
    TlsResult write(const char* data, std::size_t size);
    // Decrypted bytes wait inside: poll would not tell.
    bool pending() const;
    // Waits until the socket is ready for what `io` wants.
    bool wait(TlsIo io, std::chrono::milliseconds timeout) const;
    bool write_all(std::string_view bytes, std::chrono::milliseconds timeout);
    // What the daemon's alert says about us, if it sent one: the certificate was refused.
    Outcome<void> alert_as_error(const Endpoint& endpoint) const;

  private:
    struct State;
    explicit TlsSocket(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// Reads the files that a connection needs; the literal `sudo required` if that fails, and what is
// wrong with our own certificate.
Outcome<void> check_credentials(const Endpoint& endpoint);

// Why a request found no answer: connects once more and looks. Falls back to `otherwise`.
CliError diagnose(const Endpoint& endpoint, std::string otherwise);

}  // namespace raind::cli
