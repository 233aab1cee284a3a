#include "userspace/api/http/connection.h"

#include <array>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include "userspace/pki/spiffe.h"

namespace raind::api::http {

namespace {

constexpr std::size_t kReadChunk = 16U * 1024;
constexpr std::chrono::milliseconds kLinger{1000};
constexpr std::size_t kLingerBytes = 4U << 20;

Error timed_out() {
    return Error(Errc::Unavailable, "timed out", ETIMEDOUT);
}

int remaining_ms(Deadline deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    return left <= 0 ? 0 : static_cast<int>(std::min<long long>(left, 3'600'000));
}

}  // namespace

Connection::Connection(UniqueFd fd, std::string peer_ip) : fd_(std::move(fd)) {
    peer_.ip = std::move(peer_ip);
}

Connection::~Connection() = default;

Status Connection::wait_for(short events, Deadline deadline) const {
    pollfd entry{fd_.get(), events, 0};
    while (true) {
        const int ready = ::poll(&entry, 1, remaining_ms(deadline));
        if (ready > 0)
            return {};
        if (ready == 0)
            return timed_out();
        if (errno != EINTR)
            return os_error("poll");
    }
}

Result<bool> Connection::after_ssl(int code, Deadline deadline) {
    switch (SSL_get_error(ssl_.get(), code)) {
        case SSL_ERROR_WANT_READ:
            RAIND_CHECK(wait_for(POLLIN, deadline));
            return true;
        case SSL_ERROR_WANT_WRITE:
            RAIND_CHECK(wait_for(POLLOUT, deadline));
            return true;
        case SSL_ERROR_ZERO_RETURN:
            return false;
        case SSL_ERROR_SYSCALL:
            ERR_clear_error();
            return Error(Errc::Unavailable, "connection lost", errno);
        default:
            return Error(Errc::Unauthorized, pki::openssl_error());
    }
}

Status Connection::handshake(const TlsServer& tls, Deadline deadline) {
    RAIND_TRY(ssl_, tls.accept_on(fd_.get(), shown_));
    while (true) {
        ERR_clear_error();
        const int code = SSL_accept(ssl_.get());
        if (code == 1)
            break;
        const auto again = after_ssl(code, deadline);
        if (again.has_value() && *again)
            continue;
        if (shown_.leaf)
            identify(*shown_.leaf);
        if (!shown_.verify_error.empty())
            return Error(Errc::Unauthorized, shown_.verify_error);
        return again.has_value() ? Error(Errc::Unavailable, "closed by the client") : again.error();
    }
    established_ = true;
    X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr || SSL_get_verify_result(ssl_.get()) != X509_V_OK)
        return Error(Errc::Unauthorized, "client certificate required");
    identify(pki::Certificate::share(certificate));
    return {};
}

void Connection::identify(const pki::Certificate& certificate) {
    peer_.fingerprint = certificate.fingerprint();
    peer_.not_after = certificate.not_after();
    const auto uris = certificate.uri_names();
    if (uris.size() != 1) {
        peer_.refusal = "certificate has " + std::to_string(uris.size()) + " URI names, not one";
        return;
    }
    const auto id = pki::SpiffeId::parse(uris.front());
    if (!id.has_value()) {
        peer_.refusal = id.error().message();
        return;
    }
    peer_.spiffe_id = id->str();
    if (!certificate.for_client_use())
        peer_.refusal = "certificate is not for client authentication";
}

void Connection::consume(std::size_t bytes) {
    offset_ += std::min(bytes, buffer_.size() - offset_);
    if (offset_ == buffer_.size()) {
        buffer_.clear();
        offset_ = 0;
    }
}

bool Connection::pending() const {
    return offset_ < buffer_.size() || SSL_pending(ssl_.get()) > 0;
}

Result<bool> Connection::fill(Deadline deadline) {
    std::array<char, kReadChunk> chunk;  // NOLINT: filled by SSL_read
    while (true) {
        ERR_clear_error();
        const int code = SSL_read(ssl_.get(), chunk.data(), static_cast<int>(chunk.size()));
        if (code > 0) {
            if (offset_ > 0) {
                buffer_.erase(0, offset_);
                offset_ = 0;
            }
            buffer_.append(chunk.data(), static_cast<std::size_t>(code));
            return true;
        }
        RAIND_TRY(const bool again, after_ssl(code, deadline));
        if (!again)
            return false;
    }
}

Status Connection::write_all(std::string_view bytes, Deadline deadline) {
    while (!bytes.empty()) {
        ERR_clear_error();
        const auto size = static_cast<int>(std::min<std::size_t>(bytes.size(), 1U << 20));
        const int code = SSL_write(ssl_.get(), bytes.data(), size);
        if (code > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(code));
            continue;
        }
        RAIND_TRY(const bool again, after_ssl(code, deadline));
        if (!again)
            return Error(Errc::Unavailable, "closed by the client");
    }
    return {};
}

Result<std::size_t> Connection::write_some(std::string_view bytes) {
    ERR_clear_error();
    const auto size = static_cast<int>(std::min<std::size_t>(bytes.size(), 1U << 20));
    const int code = SSL_write(ssl_.get(), bytes.data(), size);
    if (code > 0)
        return static_cast<std::size_t>(code);
    const auto again = after_ssl(code, Clock::now());
    if (again.has_value() ? *again : again.error().os_error() == ETIMEDOUT)
        return std::size_t{0};
    return again.has_value() ? Error(Errc::Unavailable, "closed by the client") : again.error();
}

bool Connection::peer_gone() const {
    pollfd entry{fd_.get(), POLLRDHUP, 0};
    return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void Connection::close_gently() {
    if (established_) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
        ERR_clear_error();
    }
    ::shutdown(fd_.get(), SHUT_WR);
    const Deadline deadline = Clock::now() + kLinger;
    std::array<char, kReadChunk> chunk;  // NOLINT: discarded
    std::size_t total = 0;
    while (total < kLingerBytes && wait_for(POLLIN, deadline).has_value()) {
        const ssize_t got = ::recv(fd_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
        if (got <= 0)
            return;
        total += static_cast<std::size_t>(got);
    }
}

void Connection::interrupt() const {
    ::shutdown(fd_.get(), SHUT_RDWR);
}

}  // namespace raind::api::http
