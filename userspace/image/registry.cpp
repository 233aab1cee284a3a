#include "userspace/image/registry.h"

#include <algorithm>
#include <fmt/format.h>
#include <thread>

#include "userspace/common/text.h"
#include "userspace/common/units.h"
#include "userspace/image/address_policy.h"
#include "userspace/image/auth_challenge.h"

namespace raind::image {

namespace {

constexpr std::string_view kDockerHubHost = "registry-1.docker.io";

bool is_redirect(long status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_passing(const HttpAnswer& answer) {
    if (answer.fault)
        return answer.passing_fault;
    return answer.status == 429 || answer.status == 500 || answer.status == 502 ||
           answer.status == 503 || answer.status == 504;
}

HttpAnswer broken(Errc code, std::string why) {
    HttpAnswer answer;
    answer.fault = Error(code, std::move(why));
    return answer;
}

}  // namespace

RegistryClient::RegistryClient(RegistryPeer peer, const RegistryOptions& options,
                               std::stop_token stop, HttpClient http, bool tls_only)
    : peer_(std::move(peer)),
      options_(options),
      stop_(std::move(stop)),
      http_(std::move(http)),
      tls_only_(tls_only) {
}

Result<RegistryClient> RegistryClient::make(RegistryPeer peer, const RegistryOptions& options,
                                            std::stop_token stop) {
    RAIND_TRY(ExtraAuthority authority, load_authority(options.authorities, peer.registry));
    const bool tls_only = !authority.pem.empty();
    RAIND_TRY(HttpClient http, HttpClient::make(options, std::move(authority)));
    return RegistryClient(std::move(peer), options, std::move(stop), std::move(http), tls_only);
}

// Loopback registries mostly speak plain HTTP, but not all do: TLS is tried first. Elsewhere there
// is nothing but HTTPS.
Status RegistryClient::choose_scheme() {
    if (!base_.empty())
        return {};
    const bool hub = peer_.registry == kDefaultRegistry;
    const std::string place = hub ? std::string(kDockerHubHost) : peer_.registry;
    if (tls_only_ || !names_loopback(registry_host(peer_.registry))) {
        base_ = "https://" + place;
        return {};
    }
    const HttpAnswer answer = http_.get(
        {.url = "https://" + place + "/v2/",
         .headers = {},
         .timeout = options_.document_timeout,
         .max_bytes = options_.max_document,
         .local_targets = LocalTargets::Allowed},
        [](std::string_view) { return Status{}; }, stop_);
    local_ = answer.was_local;
    base_ = (answer.no_tls_peer ? "http://" : "https://") + place;
    return {};
}

LocalTargets RegistryClient::local_targets(const std::string& url) const {
    // The registry was named by the operator; where it sends us was not.
    const auto own = origin_of(base_);
    const auto target = origin_of(url);
    return local_ || (own && target && *own == *target) ? LocalTargets::Allowed
                                                        : LocalTargets::Refused;
}

Result<std::string> RegistryClient::next_hop(const std::string& from,
                                             const HttpAnswer& answer) const {
    const auto location = answer.headers.find("location");
    if (location == answer.headers.end())
        return Error(Errc::Unavailable, "a redirect to nowhere");
    RAIND_TRY(std::string url, resolve_url(from, location->second).context("redirect"));
    RAIND_TRY(const Origin origin, origin_of(url).context("redirect"));
    if (origin.scheme == "http" && !base_.starts_with("http:"))
        return Error(Errc::Forbidden, "redirect from HTTPS to plain HTTP");
    return url;
}

// One attempt, along its redirects.
HttpAnswer RegistryClient::follow(const Fetch& what) {
    std::string url = base_ + what.path;
    for (int hop = 0; hop <= options_.max_redirects; ++hop) {
        HttpRequest request{.url = url,
                            .headers = what.headers,
                            .timeout = what.timeout,
                            .max_bytes = what.max_bytes,
                            .local_targets = local_targets(url)};
        const bool registry_itself = origin_of(url).value() == origin_of(base_).value();
        if (registry_itself)
            request.authorization = authorization_;
        HttpAnswer answer = http_.get(request, what.sink, stop_);
        // Only the registry may ask for what is meant for it.
        if (!registry_itself)
            answer.challenges.clear();
        if (hop == 0)
            local_ = local_ || answer.was_local;
        if (answer.fault || !is_redirect(answer.status)) {
            if (answer.fault && hop > 0)
                answer.fault = std::move(*answer.fault).context("redirected to another address");
            return answer;
        }
        auto next = next_hop(url, answer);
        if (!next)
            return broken(next.error().code(), next.error().message());
        url = std::move(*next);
    }
    return broken(Errc::Unavailable, fmt::format("more than {} redirects", options_.max_redirects));
}

Status RegistryClient::wait_before_retry(int attempt, const HttpAnswer& answer) const {
    auto delay = options_.retry_delay * (1 << std::min(attempt, 10));
    if (const auto after = answer.headers.find("retry-after"); after != answer.headers.end()) {
        if (const auto seconds = parse_number(after->second, 0, 86'400, "Retry-After"))
            delay = std::chrono::seconds(*seconds);
    }
    delay = std::min<std::chrono::milliseconds>(delay, options_.max_retry_after);
    const auto until = std::chrono::steady_clock::now() + delay;
    while (std::chrono::steady_clock::now() < until) {
        if (stop_.stop_requested())
            return Error(Errc::Conflict, "stopped");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return {};
}

Error RegistryClient::refusal(const Fetch& what, const HttpAnswer& answer) const {
    if (answer.fault)
        return Error(*answer.fault).context(what.what);
    if (answer.status == 404)
        return {Errc::NotFound, what.what + " not found"};
    if (answer.status == 401 && !answer.challenges.empty() &&
        authorization_.reveal().starts_with("Basic "))
        return password_refused("the registry").context(what.what);
    if (answer.status == 401 || answer.status == 403)
        return not_logged_in("access refused").context(what.what);
    if (answer.status == 429)
        return {Errc::Unavailable, what.what + ": the registry limits the number of requests"};
    return {Errc::Unavailable,
            fmt::format("{}: the registry answered {}", what.what, answer.status)};
}

Result<HttpAnswer> RegistryClient::fetch(const Fetch& what) {
    RAIND_CHECK(choose_scheme());
    bool authenticated = false;
    for (int attempt = 0;;) {
        RAIND_CHECK(what.restart());
        HttpAnswer answer = follow(what);
        if (!answer.fault && answer.status >= 200 && answer.status < 300)
            return answer;
        if (!answer.fault && answer.status == 401 && !authenticated) {
            authenticated = true;
            RAIND_CHECK(authenticate(answer).context(what.what));
            continue;
        }
        if (!is_passing(answer) || attempt >= options_.retries)
            return refusal(what, answer);
        RAIND_CHECK(wait_before_retry(attempt++, answer));
        authenticated = false;  // a token may run out between two attempts
    }
}

Result<FetchedManifest> RegistryClient::manifest(const std::string& name) {
    std::string bytes;
    const Fetch what{.path = fmt::format("/v2/{}/manifests/{}", peer_.path, name),
                     .headers = {"Accept: " + manifest_accept()},
                     .timeout = options_.document_timeout,
                     .max_bytes = options_.max_document,
                     .restart =
                         [&bytes] {
                             bytes.clear();
                             return Status{};
                         },
                     .sink =
                         [&bytes](std::string_view piece) {
                             bytes += piece;
                             return Status{};
                         },
                     .what = "manifest " + name};
    RAIND_TRY(HttpAnswer answer, fetch(what));
    Digest digest = Digest::of(bytes);
    if (const auto wanted = Digest::parse(name); wanted && *wanted != digest)
        return Error(Errc::InvalidArgument,
                     fmt::format("manifest {} does not match its digest: the bytes are {}", name,
                                 digest.str()));
    return FetchedManifest{.bytes = std::move(bytes),
                           .content_type = answer.headers["content-type"],
                           .digest = std::move(digest)};
}

Status RegistryClient::blob(const Descriptor& blob, BlobTarget& target) {
    const Fetch what{.path = fmt::format("/v2/{}/blobs/{}", peer_.path, blob.digest.str()),
                     .headers = {},
                     .timeout = options_.blob_timeout,
                     .max_bytes = std::numeric_limits<std::uint64_t>::max(),
                     .restart = [&target] { return target.restart(); },
                     .sink = [&target](std::string_view piece) { return target.write(piece); },
                     .what = "blob " + blob.digest.str()};
    RAIND_TRY(const HttpAnswer answer, fetch(what));
    return {};
}

}  // namespace raind::image
