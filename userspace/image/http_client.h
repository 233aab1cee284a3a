// One HTTP connection's worth of libcurl: a GET without redirects, bounded in time, size and speed,
// that may only dial the addresses its caller allows. Holds no credentials of its own, reads
// neither .netrc nor proxy variables. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"
#include "raind/secret.h"

#include "userspace/common/addr.h"
#include "userspace/image/extra_authority.h"
#include "userspace/image/options.h"

namespace raind::image {

// Takes the body of a successful answer piece by piece; an error ends the transfer.
using BodySink = std::function<Status(std::string_view)>;

enum class LocalTargets { Allowed, Refused };

struct HttpRequest {
    std::string url;
    std::vector<std::string> headers;  // "Name: value"
    Secret authorization = {};         // value of the Authorization header; empty: none
    std::chrono::milliseconds timeout;
    std::uint64_t max_bytes = 0;
    LocalTargets local_targets = LocalTargets::Refused;
};

struct HttpAnswer {
    long status = 0;
    std::map<std::string, std::string> headers;  // names in lower case, the last value counts
    std::vector<std::string> challenges;         // every WWW-Authenticate header
    std::string error_body;                      // the beginning of the body of a refusal
    bool was_local = false;                      // the peer is this machine
    // Set when there is no whole answer.
    std::optional<Error> fault;
    bool passing_fault = false;  // another attempt may succeed
    bool no_tls_peer = false;    // https was spoken to something that does not speak TLS
};

class HttpClient {
  public:
    static Result<HttpClient> make(const RegistryOptions& options, ExtraAuthority authority);
    HttpClient(HttpClient&&) noexcept;
    HttpClient& operator=(HttpClient&&) noexcept;
    ~HttpClient();

    HttpAnswer get(const HttpRequest& request, const BodySink& sink, const std::stop_token& stop);

  private:
    struct Handle;
    HttpClient(RegistryOptions options, ExtraAuthority authority, std::set<IpAddress> own,
               std::unique_ptr<Handle> handle);
    void set_up(const HttpRequest& request);
    std::string certificate_fault(const HttpRequest& request, std::string_view detail) const;

    RegistryOptions options_;
    ExtraAuthority authority_;
    std::set<IpAddress> own_;
    std::unique_ptr<Handle> handle_;
};

// Parts of URLs, by libcurl's parser.
struct Origin {
    std::string scheme, host, port;
    bool operator==(const Origin&) const = default;
};
// Refuses URLs with a user name, and schemes other than http and https.
Result<Origin> origin_of(const std::string& url);
// `location` as seen from `base`, without a fragment.
Result<std::string> resolve_url(const std::string& base, const std::string& location);
std::string escape_query(std::string_view text);

}  // namespace raind::image
