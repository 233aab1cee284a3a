#include "userspace/image/http_client.h"

#include <algorithm>
#include <array>
#include <curl/curl.h>
#include <fmt/format.h>
#include <mutex>
#include <openssl/x509_vfy.h>

#include "userspace/common/text.h"
#include "userspace/common/units.h"
#include "userspace/image/address_policy.h"

namespace raind::image {

namespace {

constexpr std::size_t kMaxHeaderBytes = 64U << 10;
constexpr std::size_t kMaxErrorBody = 4096;

// What one transfer's callbacks share.
struct Transfer {
    const HttpRequest* request = nullptr;
    const BodySink* sink = nullptr;
    const std::stop_token* stop = nullptr;
    const std::set<IpAddress>* own = nullptr;
    HttpAnswer answer;
    std::size_t header_bytes = 0;
    std::uint64_t body_bytes = 0;
    std::string refused;  // why an address was not dialled
};

curl_socket_t open_socket(void* client, curlsocktype /*purpose*/, curl_sockaddr* address) {
    auto* transfer = static_cast<Transfer*>(client);
    const auto target = address_of(address->addr);
    if (!target)
        return CURL_SOCKET_BAD;
    const bool local = is_local(*target, *transfer->own);
    if (transfer->request->url.starts_with("http://") && !is_loopback(*target)) {
        transfer->refused = "plain HTTP is for loopback addresses only";
        return CURL_SOCKET_BAD;
    }
    if (local && transfer->request->local_targets == LocalTargets::Refused) {
        transfer->refused = "it points at this machine's own addresses";
        return CURL_SOCKET_BAD;
    }
    transfer->answer.was_local = local;
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// "HTTP/1.1 200 OK"
long status_of(std::string_view line) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos)
        return 0;
    const auto status = parse_number(line.substr(space + 1, 3), 0, 999, "status");
    return status ? *status : 0;
}

std::size_t take_header(char* bytes, std::size_t size, std::size_t count, void* client) {
    auto* transfer = static_cast<Transfer*>(client);
    const std::string_view line(bytes, size * count);
    transfer->header_bytes += line.size();
    if (transfer->header_bytes > kMaxHeaderBytes)
        return 0;
    // An interim answer (100) comes before the real one.
    if (line.starts_with("HTTP/")) {
        transfer->answer.headers.clear();
        transfer->answer.challenges.clear();
        transfer->answer.status = status_of(line);
        return line.size();
    }
    const auto colon = line.find(':');
    if (colon != std::string_view::npos) {
        std::string name(line.substr(0, colon));
        std::transform(name.begin(), name.end(), name.begin(),
                       [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
        const std::string value(trim(line.substr(colon + 1)));
        if (name == "www-authenticate")
            transfer->answer.challenges.push_back(value);
        transfer->answer.headers[name] = value;
    }
    return line.size();
}

std::size_t take_body(char* bytes, std::size_t size, std::size_t count, void* client) {
    auto* transfer = static_cast<Transfer*>(client);
    const std::string_view piece(bytes, size * count);
    HttpAnswer& answer = transfer->answer;
    if (answer.status < 200 || answer.status > 299) {
        const std::size_t room = kMaxErrorBody - std::min(kMaxErrorBody, answer.error_body.size());
        answer.error_body += piece.substr(0, room);
        transfer->body_bytes += piece.size();
        // A refusal has no business to be long.
        return transfer->body_bytes > transfer->request->max_bytes + (1U << 20) ? 0 : piece.size();
    }
    transfer->body_bytes += piece.size();
    if (transfer->body_bytes > transfer->request->max_bytes) {
        answer.fault = Error(Errc::TooLarge, fmt::format("the answer is longer than {} bytes",
                                                         transfer->request->max_bytes));
        return 0;
    }
    if (auto taken = (*transfer->sink)(piece); !taken) {
        answer.fault = std::move(taken.error());
        return 0;
    }
    return piece.size();
}

int check_stop(void* client, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Transfer*>(client)->stop->stop_requested() ? 1 : 0;
}

bool passes(CURLcode code) {
    constexpr std::array kPassing = {
        CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING,
        CURLE_SEND_ERROR,           CURLE_RECV_ERROR,      CURLE_HTTP2,        CURLE_HTTP2_STREAM,
    };
    return std::find(kPassing.begin(), kPassing.end(), code) != kPassing.end();
}

template <typename T>
void set(CURL* curl, CURLoption option, T value) {
    curl_easy_setopt(curl, option, value);
}

struct SlistFree {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct UrlFree {
    void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct CurlFree {
    void operator()(void* memory) const { curl_free(memory); }
};
using UrlPtr = std::unique_ptr<CURLU, UrlFree>;

std::string url_part(CURLU* url, CURLUPart part, unsigned flags = 0) {
    char* text = nullptr;
    if (curl_url_get(url, part, &text, flags) != CURLUE_OK)
        return {};
    const std::unique_ptr<char, CurlFree> owner(text);
    return text;
}

}  // namespace

struct HttpClient::Handle {
    CURL* curl = curl_easy_init();
    std::array<char, CURL_ERROR_SIZE> error_text{};
    Handle() = default;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() { curl_easy_cleanup(curl); }
};

HttpClient::HttpClient(RegistryOptions options, ExtraAuthority authority, std::set<IpAddress> own,
                       std::unique_ptr<Handle> handle)
    : options_(std::move(options)),
      authority_(std::move(authority)),
      own_(std::move(own)),
      handle_(std::move(handle)) {
}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Result<HttpClient> HttpClient::make(const RegistryOptions& options, ExtraAuthority authority) {
    static std::once_flag initialised;
    std::call_once(initialised, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    RAIND_TRY(auto own, own_addresses());
    auto handle = std::make_unique<Handle>();
    if (handle->curl == nullptr)
        return Error(Errc::Exhausted, "no memory for a connection");
    return HttpClient(options, std::move(authority), std::move(own), std::move(handle));
}

void HttpClient::set_up(const HttpRequest& request) {
    CURL* curl = handle_->curl;
    curl_easy_reset(curl);  // keeps open connections
    set(curl, CURLOPT_URL, request.url.c_str());
    set(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    set(curl, CURLOPT_FOLLOWLOCATION, 0L);
    set(curl, CURLOPT_PROXY, "");
    set(curl, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    set(curl, CURLOPT_NOSIGNAL, 1L);
    set(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    set(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    // In place of the system's file; its folder of certificates is searched all the same.
    curl_blob authority{
        .data = authority_.pem.data(), .len = authority_.pem.size(), .flags = CURL_BLOB_NOCOPY};
    if (!authority_.pem.empty())
        set(curl, CURLOPT_CAINFO_BLOB, &authority);
    set(curl, CURLOPT_USERAGENT, options_.user_agent.c_str());
    set(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
    set(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    set(curl, CURLOPT_LOW_SPEED_LIMIT, options_.low_speed_bytes);
    set(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options_.low_speed_time.count()));
    set(curl, CURLOPT_ERRORBUFFER, handle_->error_text.data());
    set(curl, CURLOPT_NOPROGRESS, 0L);
}

// What is wrong with the peer's certificate, and what to do about it.
std::string HttpClient::certificate_fault(const HttpRequest& request,
                                          std::string_view detail) const {
    const auto origin = origin_of(request.url);
    const std::string peer = origin ? origin->host + ":" + origin->port : std::string("the peer");
    long verified = X509_V_OK;
    curl_easy_getinfo(handle_->curl, CURLINFO_SSL_VERIFYRESULT, &verified);
    switch (verified) {
        case X509_V_OK:
        case X509_V_ERR_UNSPECIFIED:  // the chain is good, libcurl had not said so yet
            return fmt::format(
                "the certificate of {} is for another name; use a name that it is made out to",
                peer);
        case X509_V_ERR_CERT_HAS_EXPIRED:
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return fmt::format("the certificate of {} has expired, or is not valid yet", peer);
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
            break;
        default:
            return fmt::format("the certificate of {} is refused: {}", peer, printable(detail));
    }
    const std::string unknown =
        fmt::format("the certificate of {} is of an unknown authority", peer);
    if (authority_.file.empty())
        return unknown;
    if (authority_.pem.empty())
        return fmt::format("{}; put the authority's certificate into {}", unknown,
                           authority_.file.string());
    return fmt::format("{}, which is not in {}", unknown, authority_.file.string());
}

HttpAnswer HttpClient::get(const HttpRequest& request, const BodySink& sink,
                           const std::stop_token& stop) {
    Transfer transfer{.request = &request, .sink = &sink, .stop = &stop, .own = &own_};
    CURL* curl = handle_->curl;
    set_up(request);
    std::unique_ptr<curl_slist, SlistFree> headers;
    std::vector<std::string> lines = request.headers;
    if (!request.authorization.empty())
        lines.push_back("Authorization: " + request.authorization.reveal());
    for (const std::string& header : lines) {
        if (curl_slist* longer = curl_slist_append(headers.get(), header.c_str())) {
            (void)headers.release();
            headers.reset(longer);
        }
    }
    set(curl, CURLOPT_HTTPHEADER, headers.get());
    set(curl, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
    set(curl, CURLOPT_OPENSOCKETDATA, &transfer);
    set(curl, CURLOPT_HEADERFUNCTION, &take_header);
    set(curl, CURLOPT_HEADERDATA, &transfer);
    set(curl, CURLOPT_WRITEFUNCTION, &take_body);
    set(curl, CURLOPT_WRITEDATA, &transfer);
    set(curl, CURLOPT_XFERINFOFUNCTION, &check_stop);
    set(curl, CURLOPT_XFERINFODATA, &transfer);
    handle_->error_text[0] = '\0';
    const CURLcode code = curl_easy_perform(curl);
    HttpAnswer answer = std::move(transfer.answer);
    if (code == CURLE_OK || answer.fault)
        return answer;
    if (stop.stop_requested()) {
        answer.fault = Error(Errc::Conflict, "stopped");
    } else if (!transfer.refused.empty()) {
        answer.fault = Error(Errc::Forbidden, transfer.refused);
    } else {
        const std::string_view detail = handle_->error_text.data();
        answer.fault = Error(Errc::Unavailable,
                             code == CURLE_PEER_FAILED_VERIFICATION
                                 ? certificate_fault(request, detail)
                                 : printable(detail.empty() ? curl_easy_strerror(code) : detail));
        answer.passing_fault = passes(code);
        answer.no_tls_peer = code == CURLE_SSL_CONNECT_ERROR;
    }
    return answer;
}

Result<Origin> origin_of(const std::string& url) {
    const UrlPtr parsed(curl_url());
    if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(),
                                CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        return Error(Errc::InvalidArgument, "not a URL");
    if (!url_part(parsed.get(), CURLUPART_USER).empty() ||
        !url_part(parsed.get(), CURLUPART_PASSWORD).empty())
        return Error(Errc::InvalidArgument, "a URL with credentials in it");
    Origin origin{.scheme = url_part(parsed.get(), CURLUPART_SCHEME),
                  .host = url_part(parsed.get(), CURLUPART_HOST),
                  .port = url_part(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT)};
    if ((origin.scheme != "https" && origin.scheme != "http") || origin.host.empty())
        return Error(Errc::InvalidArgument, "not an http or https URL");
    return origin;
}

Result<std::string> resolve_url(const std::string& base, const std::string& location) {
    const UrlPtr parsed(curl_url());
    if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
        curl_url_set(parsed.get(), CURLUPART_URL, location.c_str(), CURLU_NON_SUPPORT_SCHEME) !=
            CURLUE_OK)
        return Error(Errc::InvalidArgument, "not a URL");
    curl_url_set(parsed.get(), CURLUPART_FRAGMENT, nullptr, 0);
    return url_part(parsed.get(), CURLUPART_URL);
}

std::string escape_query(std::string_view text) {
    const std::unique_ptr<char, CurlFree> escaped(
        curl_easy_escape(nullptr, text.data(), static_cast<int>(text.size())));
    return escaped ? std::string(escaped.get()) : std::string();
}

}  // namespace raind::image
