#include "tests/unit/api/tls_client.h"

#include <algorithm>
#include <array>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

namespace raind::test {

namespace {

void use_identity(SSL_CTX* context, const ClientOptions& options) {
    if (options.certificate_pem.empty())
        return;
    BIO* bio = BIO_new_mem_buf(options.certificate_pem.data(),
                               static_cast<int>(options.certificate_pem.size()));
    X509* leaf = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    SSL_CTX_use_certificate(context, leaf);
    X509_free(leaf);
    while (X509* above = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr))
        SSL_CTX_add_extra_chain_cert(context, above);
    BIO_free(bio);
    bio = BIO_new_mem_buf(options.key_pem.data(), static_cast<int>(options.key_pem.size()));
    EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
    SSL_CTX_use_PrivateKey(context, key);
    EVP_PKEY_free(key);
    BIO_free(bio);
}

void trust(SSL_CTX* context, const std::string& ca_pem) {
    BIO* bio = BIO_new_mem_buf(ca_pem.data(), static_cast<int>(ca_pem.size()));
    X509* ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
    X509_free(ca);
    BIO_free(bio);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
}

}  // namespace

TlsClient::TlsClient(const ClientOptions& options)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{60, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    context_ = SSL_CTX_new(TLS_client_method());
    if (options.only_tls12)
        SSL_CTX_set_max_proto_version(context_, TLS1_2_VERSION);
    trust(context_, options.ca_pem);
    use_identity(context_, options);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return;
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_.get());
    SSL_set1_host(ssl_, "localhost");
    std::string alpn(1, static_cast<char>(options.alpn.size()));
    alpn += options.alpn;
    SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(alpn.data()),
                        static_cast<unsigned>(alpn.size()));
    ERR_clear_error();
    connected_ = SSL_connect(ssl_) == 1;
}

TlsClient::~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
}

bool TlsClient::send(std::string_view bytes) {
    ERR_clear_error();
    return connected_ && SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) ==
                             static_cast<int>(bytes.size());
}

bool TlsClient::more() {
    std::array<char, 16384> chunk{};
    ERR_clear_error();
    const int got = connected_ ? SSL_read(ssl_, chunk.data(), static_cast<int>(chunk.size())) : 0;
    if (got <= 0)
        return false;
    buffer_.append(chunk.data(), static_cast<std::size_t>(got));
    return true;
}

std::string TlsClient::read(std::size_t size) {
    while (buffer_.size() < size && more()) {
    }
    std::string out = buffer_.substr(0, size);
    buffer_.erase(0, out.size());
    return out;
}

std::string TlsClient::read_until(std::string_view mark) {
    std::size_t at = buffer_.find(mark);
    while (at == std::string::npos && more())
        at = buffer_.find(mark);
    return at == std::string::npos ? std::string() : read(at + mark.size());
}

std::string TlsClient::read_chunked() {
    std::string body;
    while (true) {
        const std::string line = read_until("\r\n");
        if (line.empty())
            return body + "<broken off>";
        const std::size_t size = std::stoul(line, nullptr, 16);
        body += read(size);
        read(2);
        if (size == 0)
            return body;
    }
}

std::optional<Answer> TlsClient::answer() {
    const std::string head = read_until("\r\n\r\n");
    if (head.size() < 12)
        return std::nullopt;
    Answer out;
    out.status = std::stoi(head.substr(9, 3));
    for (std::size_t at = head.find("\r\n") + 2; at + 2 < head.size();) {
        const std::size_t end = head.find("\r\n", at);
        const std::size_t colon = head.find(": ", at);
        std::string name = head.substr(at, colon - at);
        std::ranges::transform(name, name.begin(), ::tolower);
        out.headers[name] = head.substr(colon + 2, end - colon - 2);
        at = end + 2;
    }
    if (out.headers["transfer-encoding"] == "chunked")
        out.body = read_chunked();
    else if (out.headers.contains("content-length"))
        out.body = read(std::stoul(out.headers["content-length"]));
    return out;
}

std::optional<Answer> TlsClient::request(std::string_view method, std::string_view target,
                                         std::string_view body) {
    std::string text =
        std::string(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\n");
    if (!body.empty())
        text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n";
    text.append("\r\n").append(body);
    if (!send(text))
        return std::nullopt;
    return answer();
}

bool TlsClient::at_end() {
    return buffer_.empty() && !more();
}

}  // namespace raind::test
