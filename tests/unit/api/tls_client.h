// A plain TLS client for the tests: raw bytes in and out, so that wrong requests can be sent too.
// Independent of the transport under test. One thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "raind/unique_fd.h"

#include "userspace/pki/x509.h"

struct ssl_st;
struct ssl_ctx_st;

namespace raind::test {

struct ClientOptions {
    std::uint16_t port = 0;
    std::string ca_pem;           // of the server
    std::string certificate_pem;  // may be followed by a chain; empty: none is sent
    std::string key_pem;
    bool only_tls12 = false;
    std::string alpn = "http/1.1";
};

struct Answer {
    int status = 0;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
};

class TlsClient {
  public:
    explicit TlsClient(const ClientOptions& options);
    TlsClient(const TlsClient&) = delete;
    TlsClient& operator=(const TlsClient&) = delete;
    ~TlsClient();

    // Whether the client's side of the handshake went through (in TLS 1.3 a refusal by the server
    // shows only at the first read).
    bool connected() const { return connected_; }
    bool send(std::string_view bytes);
    // Exactly `size` bytes, or what came until the connection ended or 10 s passed.
    std::string read(std::size_t size);
    std::string read_until(std::string_view mark);
    // nullopt: no answer came.
    std::optional<Answer> answer();
    // Sends the request and takes the answer.
    std::optional<Answer> request(std::string_view method, std::string_view target,
                                  std::string_view body = "");
    // Nothing more can be read.
    bool at_end();
    int fd() const { return fd_.get(); }
    void close() { fd_.reset(); }

  private:
    bool more();
    std::string read_chunked();

    UniqueFd fd_;
    ssl_ctx_st* context_ = nullptr;
    ssl_st* ssl_ = nullptr;
    bool connected_ = false;
    std::string buffer_;
};

}  // namespace raind::test
