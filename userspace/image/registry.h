// Reads one repository of a registry (OCI distribution protocol): manifests and blobs.
//
// HTTPS, and plain HTTP where the registry is on loopback and does not speak TLS. Redirects are
// followed by hand: bounded, without credentials on another origin, and never to this machine's own
// addresses unless the registry itself is on this machine. Passing faults are tried again.
//
// User and password go to the registry itself (Basic), or to the token server that it names
// (Bearer): over HTTPS, or where both are on the same loopback host. A token that runs out in the
// middle of a pull is renewed. One thread.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "raind/result.h"

#include "userspace/image/auth_challenge.h"
#include "userspace/image/credentials.h"
#include "userspace/image/http_client.h"
#include "userspace/image/manifest.h"
#include "userspace/image/options.h"
#include "userspace/image/reference.h"
#include "userspace/image/resolve.h"

namespace raind::image {

// Where a blob goes. restart() comes before the first byte of every attempt; write() refuses what
// is too much.
class BlobTarget {
  public:
    virtual ~BlobTarget() = default;
    virtual Status restart() = 0;
    virtual Status write(std::string_view bytes) = 0;
};

// What a client asks of which registry, and as whom.
struct RegistryPeer {
    std::string registry;  // as in a reference: "docker.io", "[::1]:5000"
    std::string path;      // the repository; empty: the registry as a whole
    std::optional<Credentials> credentials;
};

class RegistryClient {
  public:
    static Result<RegistryClient> make(RegistryPeer peer, const RegistryOptions& options,
                                       std::stop_token stop);

    // Whether the registry accepts the credentials. A registry that asks for none is refused, as it
    // cannot tell.
    Status check_login();
    // `name` is a tag or a digest; a digest is verified.
    Result<FetchedManifest> manifest(const std::string& name);
    // Size and digest are the target's to verify.
    Status blob(const Descriptor& blob, BlobTarget& target);

  private:
    // One thing to be read, across redirects and attempts.
    struct Fetch {
        std::string path;
        std::vector<std::string> headers;
        std::chrono::milliseconds timeout;
        std::uint64_t max_bytes = 0;
        std::function<Status()> restart;
        BodySink sink;
        std::string what;  // for people: "manifest latest"
    };
    RegistryClient(RegistryPeer peer, const RegistryOptions& options, std::stop_token stop,
                   HttpClient http, bool tls_only);

    Status choose_scheme();
    Result<HttpAnswer> fetch(const Fetch& what);
    HttpAnswer follow(const Fetch& what);
    Result<std::string> next_hop(const std::string& from, const HttpAnswer& answer) const;
    Status authenticate(const HttpAnswer& refusal);
    Status take_token(const AuthChallenge& challenge);
    bool may_know_credentials(const Origin& token_server) const;
    Error not_logged_in(std::string why) const;
    Error password_refused(std::string_view by) const;
    Status wait_before_retry(int attempt, const HttpAnswer& answer) const;
    Error refusal(const Fetch& what, const HttpAnswer& answer) const;
    LocalTargets local_targets(const std::string& url) const;

    RegistryPeer peer_;
    RegistryOptions options_;
    std::stop_token stop_;
    HttpClient http_;
    std::string base_;      // "https://host:port", empty until the first request
    Secret authorization_;  // what the registry's own origin is sent; empty: nothing yet
    bool local_ = false;    // the registry is on this machine
    bool tls_only_;         // an authority is configured: never plain HTTP, not on loopback either
};

}  // namespace raind::image
