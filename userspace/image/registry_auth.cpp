// How a registry client makes itself known.
#include <algorithm>
#include <fmt/format.h>

#include "userspace/image/address_policy.h"
#include "userspace/image/registry.h"

namespace raind::image {

namespace {

constexpr std::string_view kBasic = "basic";
constexpr std::string_view kBearer = "bearer";

// Of several challenges the one with a token: the password then goes to the token server alone.
Result<AuthChallenge> choose_challenge(const std::vector<std::string>& headers) {
    std::optional<AuthChallenge> chosen;
    for (const std::string& header : headers) {
        RAIND_TRY(AuthChallenge challenge, parse_challenge(header));
        if (challenge.scheme == kBearer)
            return challenge;
        if (challenge.scheme == kBasic || !chosen)
            chosen = std::move(challenge);
    }
    return std::move(*chosen);
}

}  // namespace

Error RegistryClient::not_logged_in(std::string why) const {
    if (!peer_.credentials)
        why += fmt::format("; it does not exist, or needs a login: raind login {}", peer_.registry);
    else
        why += fmt::format(" to user '{}'", peer_.credentials->user);
    return {Errc::Forbidden, std::move(why)};
}

Error RegistryClient::password_refused(std::string_view by) const {
    return {Errc::Forbidden, fmt::format("{} does not accept user name or password of '{}'", by,
                                         peer_.credentials->user)};
}

Status RegistryClient::authenticate(const HttpAnswer& refusal) {
    if (refusal.challenges.empty())
        return not_logged_in("access refused");
    RAIND_TRY(const AuthChallenge challenge, choose_challenge(refusal.challenges));
    if (challenge.scheme == kBearer)
        return take_token(challenge);
    if (challenge.scheme != kBasic)
        return Error(Errc::Unsupported,
                     "the registry asks for a kind of authentication that is not supported; "
                     "supported are Basic and Bearer");
    if (!peer_.credentials)
        return not_logged_in("the registry asks for a user name and a password");
    if (!authorization_.empty())
        return password_refused("the registry");
    authorization_ = basic_authorization(*peer_.credentials);
    return {};
}

// The token server was named by the registry: over TLS, or both are on the same loopback host.
bool RegistryClient::may_know_credentials(const Origin& token_server) const {
    if (base_.starts_with("https:"))
        return token_server.scheme == "https";
    const auto own = origin_of(base_);
    return own && own->host == token_server.host && names_loopback(token_server.host);
}

Status RegistryClient::take_token(const AuthChallenge& challenge) {
    const auto realm = challenge.parameters.find("realm");
    if (realm == challenge.parameters.end())
        return Error(Errc::InvalidArgument, "the registry names no token server");
    RAIND_TRY(const Origin origin, origin_of(realm->second).context("token server"));
    if (origin.scheme != "https" && !base_.starts_with("http:"))
        return Error(Errc::Forbidden, "the token server is not reached over HTTPS");
    std::string url = realm->second;
    url += url.find('?') == std::string::npos ? "?" : "&";
    if (const auto service = challenge.parameters.find("service");
        service != challenge.parameters.end())
        url += "service=" + escape_query(service->second) + "&";
    // What we want, not what the registry says that we want.
    if (!peer_.path.empty())
        url += "scope=" + escape_query("repository:" + peer_.path + ":pull");
    HttpRequest request{.url = url,
                        .headers = {},
                        .timeout = options_.document_timeout,
                        .max_bytes = options_.max_token_answer,
                        .local_targets = local_targets(url)};
    if (peer_.credentials) {
        if (!may_know_credentials(origin))
            return Error(Errc::Forbidden,
                         "the registry is reached over plain HTTP and names a token server "
                         "elsewhere, which is not sent the password");
        request.authorization = basic_authorization(*peer_.credentials);
    }
    std::string body;
    const auto gather = [&body](std::string_view bytes) {
        body += bytes;
        return Status{};
    };
    const HttpAnswer answer = http_.get(request, gather, stop_);
    if (answer.fault)
        return Error(*answer.fault).context("token server");
    if (answer.status == 401 && peer_.credentials)
        return password_refused("the token server");
    if (answer.status == 401 || answer.status == 403)
        return not_logged_in(fmt::format("the token server answered {}", answer.status));
    if (answer.status != 200)
        return Error(Errc::Unavailable, fmt::format("the token server answered {}", answer.status));
    RAIND_TRY(const std::string token, parse_token(body));
    authorization_ = Secret("Bearer " + token);
    return {};
}

Status RegistryClient::check_login() {
    const auto ignore = [](std::string_view) { return Status{}; };
    const Fetch what{.path = "/v2/",
                     .headers = {},
                     .timeout = options_.document_timeout,
                     .max_bytes = options_.max_document,
                     .restart = [] { return Status{}; },
                     .sink = ignore,
                     .what = "login"};
    RAIND_CHECK(fetch(what));
    if (authorization_.empty())
        return Error(Errc::Conflict,
                     "login: the registry asks for no user name and password: nothing to keep");
    return {};
}

}  // namespace raind::image
