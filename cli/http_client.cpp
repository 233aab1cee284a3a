#include "cli/http_client.h"

#include <fmt/format.h>
#include <httplib.h>
#include <openssl/ssl.h>
#include <optional>

#include "cli/text.h"
#include "cli/tls_socket.h"

namespace raind::cli {

namespace {

constexpr time_t kConnectSeconds = 5;
constexpr std::size_t kMaxBody = 16UL << 20U;

std::string plain_reason(httplib::Error error, const HttpRequest& request) {
    // A change that was on its way may have been carried out.
    const std::string doubt =
        request.method == "GET" ? "" : "; the request may or may not have been carried out";
    if (error == httplib::Error::Read || error == httplib::Error::Write)
        return "the daemon closed the connection without an answer" + doubt;
    return "the connection failed" + doubt;
}

}  // namespace

struct HttpClient::State {
    Endpoint endpoint;
    std::optional<httplib::SSLClient> client;

    Outcome<httplib::SSLClient*> open() {
        if (client)
            return &*client;
        RAIND_CHECK(check_credentials(endpoint));
        client.emplace(endpoint.host, endpoint.port, endpoint.cert_file, endpoint.key_file);
        if (!client->is_valid())
            return cannot_connect("the certificates cannot be used", {});
        SSL_CTX_set_min_proto_version(client->ssl_context(), TLS1_3_VERSION);
        client->set_ca_cert_path(endpoint.ca_file);
        client->enable_server_certificate_verification(true);
        client->set_tcp_nodelay(true);
        client->set_keep_alive(true);
        client->set_follow_location(false);
        client->set_url_encode(false);
        client->set_connection_timeout(kConnectSeconds);
        return &*client;
    }
};

HttpClient::HttpClient(Endpoint endpoint) : state_(std::make_unique<State>()) {
    state_->endpoint = std::move(endpoint);
}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Outcome<HttpAnswer> HttpClient::send(const HttpRequest& request) {
    RAIND_TRY(httplib::SSLClient* const client, state_->open());
    client->set_read_timeout(request.patience);
    client->set_write_timeout(request.patience);
    httplib::Request message;
    message.method = request.method;
    message.path = request.target;
    message.set_header("Accept", "*/*");
    message.set_header("User-Agent", "raind/" RAIND_VERSION);
    if (!request.body.empty()) {
        message.body = request.body;
        message.set_header("Content-Type", "application/json");
    }
    HttpAnswer answer;
    bool stopped = false;
    bool too_large = false;
    message.response_handler = [&answer](const httplib::Response& response) {
        answer.status = response.status;
        answer.content_type = response.get_header_value("Content-Type");
        answer.request_id = response.get_header_value("X-Request-Id");
        return true;
    };
    message.content_receiver = [&](const char* data, std::size_t size, std::uint64_t,
                                   std::uint64_t) {
        if (request.on_chunk && answer.status == 200) {
            stopped = !request.on_chunk(std::string_view(data, size));
            return !stopped;
        }
        too_large = answer.body.size() + size > kMaxBody;
        if (!too_large)
            answer.body.append(data, size);
        return !too_large;
    };
    const httplib::Result result = client->send(message);
    if (result || stopped)
        return answer;
    if (too_large)
        return failure("the daemon's answer is larger than 16 MiB");
    if (answer.status != 0 && request.on_chunk)
        return failure("the connection to the daemon ended in the middle of the answer");
    return diagnose(state_->endpoint, plain_reason(result.error(), request));
}

}  // namespace raind::cli
