#include "userspace/api/http/tls.h"

#include <array>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace raind::api::http {

namespace {

constexpr std::array<unsigned char, 9> kAlpn{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

Error tls_error(std::string_view what) {
    return Error(Errc::Internal, std::string("tls: ").append(what) + ": " + pki::openssl_error());
}

int on_verify(int accepted, X509_STORE_CTX* store) {
    auto* ssl =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* shown = static_cast<ShownCertificate*>(SSL_get_app_data(ssl));
    if (!shown->leaf)
        shown->leaf = std::make_unique<pki::Certificate>(
            pki::Certificate::share(X509_STORE_CTX_get0_cert(store)));
    if (accepted == 0)
        shown->verify_error = X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
    return accepted;
}

int on_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
            unsigned offered_size, void*) {
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_size, kAlpn.data(), kAlpn.size(), offered,
                              offered_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

Status load_identity(SSL_CTX* context, const TlsFiles& files) {
    RAIND_TRY(const std::string certificate_pem, read_file(files.certificate));
    RAIND_TRY(const pki::Certificate certificate, pki::Certificate::from_pem(certificate_pem));
    RAIND_TRY(const std::string key_pem, read_file(files.key));
    RAIND_TRY(const pki::PrivateKey key, pki::PrivateKey::from_pem(key_pem));
    if (SSL_CTX_use_certificate(context, certificate.native()) != 1 ||
        SSL_CTX_use_PrivateKey(context, key.native()) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return tls_error("server certificate");
    return {};
}

Status load_client_authority(SSL_CTX* context, const TlsFiles& files) {
    RAIND_TRY(const std::string pem, read_file(files.client_ca));
    RAIND_TRY(const pki::Certificate authority, pki::Certificate::from_pem(pem));
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.native()) != 1 ||
        SSL_CTX_add_client_CA(context, authority.native()) != 1)
        return tls_error("client authority");
    // No certificate may stand between the client's and the authority's.
    SSL_CTX_set_verify_depth(context, 0);
    SSL_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verify);
    return {};
}

}  // namespace

void SslFree::operator()(SSL* ssl) const {
    SSL_free(ssl);
}
void SslFree::operator()(SSL_CTX* context) const {
    SSL_CTX_free(context);
}

Result<TlsServer> TlsServer::load(const TlsFiles& files) {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    if (context == nullptr)
        return tls_error("context");
    TlsServer server(context);
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1)
        return tls_error("minimum version");
    // A resumed session would carry an identity that was checked long ago.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, nullptr);
    RAIND_CHECK(load_identity(context, files).context("server certificate"));
    RAIND_CHECK(load_client_authority(context, files).context("client authority"));
    return server;
}

Result<SslPtr> TlsServer::accept_on(int fd, ShownCertificate& shown) const {
    SslPtr ssl(SSL_new(context_.get()));
    if (!ssl || SSL_set_fd(ssl.get(), fd) != 1)
        return tls_error("connection");
    SSL_set_app_data(ssl.get(), &shown);
    SSL_set_accept_state(ssl.get());
    return ssl;
}

}  // namespace raind::api::http
