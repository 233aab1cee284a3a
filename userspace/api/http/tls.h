// TlsServer: the server side of mutual TLS as the product wants it: TLS 1.3 only, a client
// certificate required and issued directly by the client authority, ALPN http/1.1, no session
// resumption. Immutable after load(); shared by all connection threads.
#pragma once

#include <memory>
#include <openssl/types.h>
#include <string>

#include "raind/result.h"

#include "userspace/common/fs.h"
#include "userspace/pki/x509.h"

namespace raind::api::http {

struct TlsFiles {
    stdfs::path certificate;
    stdfs::path key;
    stdfs::path client_ca;
};

struct SslFree {
    void operator()(SSL* ssl) const;
    void operator()(SSL_CTX* context) const;
};
using SslPtr = std::unique_ptr<SSL, SslFree>;

// What the peer showed while the handshake ran; kept outside the session, because a refused
// certificate does not get into it.
struct ShownCertificate {
    std::unique_ptr<pki::Certificate> leaf;
    std::string verify_error;
};

class TlsServer {
  public:
    static Result<TlsServer> load(const TlsFiles& files);

    // `shown` has to outlive the SSL.
    Result<SslPtr> accept_on(int fd, ShownCertificate& shown) const;

  private:
    explicit TlsServer(SSL_CTX* context) : context_(context) {}

    std::unique_ptr<SSL_CTX, SslFree> context_;
};

}  // namespace raind::api::http
