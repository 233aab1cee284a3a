// Reads one repository of a registry (OCI distribution protocol): manifests and blobs.
//
// HTTPS, and plain HTTP where the registry is on loopback and does not speak TLS. Redirects are
// followed by hand: bounded, without the token on another origin, and never to this machine's own
// addresses unless the registry itself is on this machine. Passing faults are tried again. One
// thread.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "raind/result.h"

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

class RegistryClient {
  public:
    static Result<RegistryClient> make(const Reference& image, const RegistryOptions& options,
                                       std::stop_token stop);

    // `name` is a tag or a digest; a digest is verified.
    Result<FetchedManifest> manifest(const std::string& name);
    // Size and digest are the target's to verify.
    Status blob(const Descriptor& blob, BlobTarget& target);

  private:
    struct Fetch;
    RegistryClient(Reference image, const RegistryOptions& options, std::stop_token stop,
                   HttpClient http);

    Status choose_scheme();
    Result<HttpAnswer> fetch(const Fetch& what);
    HttpAnswer follow(const Fetch& what);
    Result<std::string> next_hop(const std::string& from, const HttpAnswer& answer) const;
    Status authenticate(const HttpAnswer& refusal);
    Status wait_before_retry(int attempt, const HttpAnswer& answer) const;
    Error refusal(const Fetch& what, const HttpAnswer& answer) const;
    LocalTargets local_targets(const std::string& url) const;

    Reference image_;
    RegistryOptions options_;
    std::stop_token stop_;
    HttpClient http_;
    std::string base_;  // "https://host:port", empty until the first request
    std::string token_;
    bool local_ = false;  // the registry is on this machine
};

}  // namespace raind::image
