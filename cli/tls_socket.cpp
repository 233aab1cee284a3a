#include "cli/tls_socket.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include "raind/unique_fd.h"

#include "cli/text.h"
#include "userspace/common/fs.h"

namespace raind::cli {

namespace {

using Clock = std::chrono::steady_clock;

template <auto Free>
struct Deleter {
    template <typename T>
    void operator()(T* pointer) const {
        Free(pointer);
    }
};
using ContextPtr = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Deleter<SSL_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
struct AddrInfoFree {
    void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using AddrInfoPtr = std::unique_ptr<addrinfo, AddrInfoFree>;

constexpr std::string_view kRenewHint =
    "remove the file and restart the daemon: it makes a new one";

Outcome<std::string> read_credential(const std::string& path) {
    auto text = read_file(path, 1UL << 20U);
    if (!text)
        return not_readable(path, text.error().os_error() != 0 ? text.error().os_error() : EIO);
    return std::move(*text);
}

X509Ptr parse_certificate(const std::string& pem) {
    const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    return X509Ptr(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

KeyPtr parse_key(const std::string& pem) {
    const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    // Without a password source an encrypted key is an error instead of a question on the terminal.
    const auto no_password = [](char*, int, int, void*) { return -1; };
    return KeyPtr(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
}

std::string date_of(const ASN1_TIME* time) {
    std::tm fields{};
    if (ASN1_TIME_to_tm(time, &fields) != 1)
        return "an unreadable date";
    return fmt::format("{:04}-{:02}-{:02}", fields.tm_year + 1900, fields.tm_mon + 1,
                       fields.tm_mday);
}

Outcome<void> check_dates(const X509* certificate, const std::string& path) {
    const ASN1_TIME* const end = X509_get0_notAfter(certificate);
    if (X509_cmp_current_time(end) < 0)
        return cannot_connect(
            fmt::format("the certificate {} expired on {}", terminal_safe(path), date_of(end)),
            std::string(kRenewHint));
    const ASN1_TIME* const begin = X509_get0_notBefore(certificate);
    if (X509_cmp_current_time(begin) > 0)
        return cannot_connect(fmt::format("the certificate {} is valid from {} on",
                                          terminal_safe(path), date_of(begin)),
                              "check the clock of this machine");
    return {};
}

// The alerts by which a TLS 1.3 server refuses a client's certificate (RFC 8446, section 6.2).
std::string refusal_text(int alert) {
    switch (alert) {
        case SSL_AD_CERTIFICATE_REQUIRED:
            return "it asks for a client certificate";
        case SSL_AD_UNKNOWN_CA:
            return "it was issued by an authority that the daemon does not know";
        case SSL_AD_CERTIFICATE_EXPIRED:
            return "it has expired";
        case SSL_AD_CERTIFICATE_REVOKED:
            return "it was revoked";
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_DECRYPT_ERROR:
            return "it is not acceptable";
        case SSL_AD_ACCESS_DENIED:
            return "access denied";
        default:
            return {};
    }
}

CliError server_untrusted(const Endpoint& endpoint, long verdict) {
    if (verdict == X509_V_ERR_CERT_HAS_EXPIRED)
        return cannot_connect(fmt::format("the certificate of the daemon at {} has expired",
                                          terminal_safe(endpoint.address())),
                              "restart the daemon: it renews its certificate");
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
        return cannot_connect(fmt::format("the daemon's certificate is not made for {}",
                                          terminal_safe(endpoint.host)),
                              "use the address that the certificate names, such as 127.0.0.1");
    return cannot_connect(
        fmt::format("the certificate of the daemon at {} is not trusted by {}",
                    terminal_safe(endpoint.address()), terminal_safe(endpoint.ca_file)),
        "another instance may be listening there; choose one with --root DIR or --host");
}

}  // namespace

struct TlsSocket::State {
    UniqueFd fd;
    ContextPtr context;
    SslPtr ssl;
    int alert = -1;

    static void on_info(const SSL* ssl, int where, int value) {
        if ((where & SSL_CB_READ_ALERT) != SSL_CB_READ_ALERT)
            return;
        // OpenSSL hands its own object back as const; the data we hung on it is ours.
        auto* const state = static_cast<State*>(SSL_get_app_data(ssl));
        if (state != nullptr && (value & 0xff) != SSL_AD_CLOSE_NOTIFY)
            state->alert = value & 0xff;
    }

    TlsResult result(int returned) {
        if (returned > 0)
            return {TlsIo::Done, static_cast<std::size_t>(returned)};
        switch (SSL_get_error(ssl.get(), returned)) {
            case SSL_ERROR_WANT_READ:
                return {TlsIo::WantRead, 0};
            case SSL_ERROR_WANT_WRITE:
                return {TlsIo::WantWrite, 0};
            case SSL_ERROR_ZERO_RETURN:
                return {TlsIo::Closed, 0};
            default:
                return {TlsIo::Failed, 0};
        }
    }
};

TlsSocket::TlsSocket(std::unique_ptr<State> state) : state_(std::move(state)) {
}
TlsSocket::TlsSocket(TlsSocket&&) noexcept = default;
TlsSocket& TlsSocket::operator=(TlsSocket&&) noexcept = default;
TlsSocket::~TlsSocket() = default;

int TlsSocket::fd() const {
    return state_->fd.get();
}

TlsResult TlsSocket::read(char* data, std::size_t size) {
    ERR_clear_error();
    const int limit = static_cast<int>(std::min<std::size_t>(size, 1UL << 20U));
    return state_->result(SSL_read(state_->ssl.get(), data, limit));
}

TlsResult TlsSocket::write(const char* data, std::size_t size) {
    ERR_clear_error();
    const int limit = static_cast<int>(std::min<std::size_t>(size, 1UL << 20U));
    return state_->result(SSL_write(state_->ssl.get(), data, limit));
}

bool TlsSocket::pending() const {
    return SSL_pending(state_->ssl.get()) > 0;
}

bool TlsSocket::wait(TlsIo io, std::chrono::milliseconds timeout) const {
    pollfd entry{fd(), static_cast<short>(io == TlsIo::WantWrite ? POLLOUT : POLLIN), 0};
    return ::poll(&entry, 1, static_cast<int>(timeout.count())) > 0;
}

bool TlsSocket::write_all(std::string_view bytes, std::chrono::milliseconds timeout) {
    while (!bytes.empty()) {
        const TlsResult result = write(bytes.data(), bytes.size());
        if (result.io == TlsIo::Done) {
            bytes.remove_prefix(result.bytes);
            continue;
        }
        if (result.io == TlsIo::Closed || result.io == TlsIo::Failed || !wait(result.io, timeout))
            return false;
    }
    return true;
}

Outcome<void> TlsSocket::alert_as_error(const Endpoint& endpoint) const {
    const std::string reason = refusal_text(state_->alert);
    if (reason.empty())
        return {};
    return cannot_connect(
        fmt::format("the daemon at {} refused the certificate {}: {}",
                    terminal_safe(endpoint.address()), terminal_safe(endpoint.cert_file), reason),
        "use the certificate of that instance: --root DIR names it");
}

Outcome<void> check_credentials(const Endpoint& endpoint) {
    RAIND_TRY(const std::string ca, read_credential(endpoint.ca_file));
    RAIND_TRY(const std::string cert, read_credential(endpoint.cert_file));
    RAIND_TRY(const std::string key, read_credential(endpoint.key_file));
    if (!parse_certificate(ca))
        return cannot_connect(
            fmt::format("{} holds no certificate", terminal_safe(endpoint.ca_file)),
            std::string(kRenewHint));
    const X509Ptr own = parse_certificate(cert);
    if (!own)
        return cannot_connect(
            fmt::format("{} holds no certificate", terminal_safe(endpoint.cert_file)),
            std::string(kRenewHint));
    RAIND_CHECK(check_dates(own.get(), endpoint.cert_file));
    const KeyPtr private_key = parse_key(key);
    if (!private_key || X509_check_private_key(own.get(), private_key.get()) != 1)
        return cannot_connect(
            fmt::format("{} does not hold the key of {}", terminal_safe(endpoint.key_file),
                        terminal_safe(endpoint.cert_file)),
            "remove both files and restart the daemon: it makes new ones");
    return {};
}

namespace {

Outcome<ContextPtr> make_context(const Endpoint& endpoint) {
    RAIND_CHECK(check_credentials(endpoint));
    ContextPtr context(SSL_CTX_new(TLS_client_method()));
    const bool ready =
        context && SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1 &&
        SSL_CTX_load_verify_file(context.get(), endpoint.ca_file.c_str()) == 1 &&
        SSL_CTX_use_certificate_chain_file(context.get(), endpoint.cert_file.c_str()) == 1 &&
        SSL_CTX_use_PrivateKey_file(context.get(), endpoint.key_file.c_str(), SSL_FILETYPE_PEM) ==
            1;
    if (!ready)
        return cannot_connect("the certificates cannot be used", std::string(kRenewHint));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_mode(context.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

Outcome<AddrInfoPtr> look_up(const Endpoint& endpoint) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const std::string port = std::to_string(endpoint.port);
    const int failed = getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &list);
    if (failed != 0)
        return cannot_connect(fmt::format("the host {} is not known: {}",
                                          terminal_safe(endpoint.host), gai_strerror(failed)),
                              "check --host and RAIND_HOST");
    return AddrInfoPtr(list);
}

int connect_with_timeout(const UniqueFd& fd, const addrinfo& address, Clock::time_point deadline) {
    if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd entry{fd.get(), POLLOUT, 0};
    if (::poll(&entry, 1, static_cast<int>(std::max<long>(left.count(), 0))) <= 0)
        return ETIMEDOUT;
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

CliError connect_error(const Endpoint& endpoint, int error) {
    const std::string where = terminal_safe(endpoint.address());
    if (error == ECONNREFUSED)
        return cannot_connect(fmt::format("no daemon listens on {}", where),
                              "start condenser, or name another instance with "
                              "--root DIR or --host");
    if (error == ETIMEDOUT)
        return cannot_connect(fmt::format("{} does not answer", where), "check --host");
    return cannot_connect(fmt::format("cannot reach {}: {}", where, std::strerror(error)),
                          "check --host and RAIND_HOST");
}

Outcome<UniqueFd> open_tcp(const Endpoint& endpoint, Clock::time_point deadline) {
    RAIND_TRY(const AddrInfoPtr list, look_up(endpoint));
    int error = ECONNREFUSED;
    for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
        UniqueFd fd(::socket(entry->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        error = fd ? connect_with_timeout(fd, *entry, deadline) : errno;
        if (error != 0)
            continue;
        const int on = 1;
        setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        return fd;
    }
    return connect_error(endpoint, error);
}

bool expect_host(SSL* ssl, const std::string& host) {
    std::array<unsigned char, 16> buffer{};
    const bool literal = inet_pton(AF_INET, host.c_str(), buffer.data()) == 1 ||
                         inet_pton(AF_INET6, host.c_str(), buffer.data()) == 1;
    if (literal)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
    return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    const_cast<char*>(host.c_str())) == 1 &&
           SSL_set1_host(ssl, host.c_str()) == 1;
}

}  // namespace

Outcome<TlsSocket> TlsSocket::connect(const Endpoint& endpoint, std::chrono::milliseconds timeout) {
    const Clock::time_point deadline = Clock::now() + timeout;
    auto state = std::make_unique<State>();
    RAIND_TRY(state->context, make_context(endpoint));
    RAIND_TRY(state->fd, open_tcp(endpoint, deadline));
    state->ssl.reset(SSL_new(state->context.get()));
    SSL* const ssl = state->ssl.get();
    if (ssl == nullptr || SSL_set_fd(ssl, state->fd.get()) != 1 || !expect_host(ssl, endpoint.host))
        return cannot_connect("cannot prepare the TLS connection", {});
    SSL_set_app_data(ssl, state.get());
    SSL_set_info_callback(ssl, &State::on_info);
    TlsSocket socket(std::move(state));
    while (true) {
        ERR_clear_error();
        const TlsResult result = socket.state_->result(SSL_connect(ssl));
        if (result.io == TlsIo::Done)
            return socket;
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        const bool wants = result.io == TlsIo::WantRead || result.io == TlsIo::WantWrite;
        if (wants && left.count() > 0) {
            socket.wait(result.io, left);
            continue;
        }
        RAIND_CHECK(socket.alert_as_error(endpoint));
        if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK)
            return server_untrusted(endpoint, verdict);
        return cannot_connect(
            fmt::format("{} {}", terminal_safe(endpoint.address()),
                        wants ? "does not answer" : "does not speak TLS 1.3 as a daemon does"),
            "check --host and RAIND_HOST");
    }
}

CliError diagnose(const Endpoint& endpoint, std::string otherwise) {
    constexpr std::chrono::milliseconds kConnect{3000};
    // A refusal of TLS 1.3 arrives after our side of the handshake is done: with the first read.
    constexpr std::chrono::milliseconds kFirstRead{500};
    auto socket = TlsSocket::connect(endpoint, kConnect);
    if (!socket)
        return std::move(socket.error());
    std::array<char, 256> buffer{};
    const Clock::time_point deadline = Clock::now() + kFirstRead;
    while (Clock::now() < deadline) {
        const TlsResult result = socket->read(buffer.data(), buffer.size());
        if (result.io != TlsIo::WantRead && result.io != TlsIo::WantWrite)
            break;
        if (!socket->wait(result.io, kFirstRead))
            break;
    }
    if (auto refused = socket->alert_as_error(endpoint); !refused)
        return std::move(refused.error());
    return cannot_connect(std::move(otherwise), "look into the daemon's log");
}

}  // namespace raind::cli
