// SpiffeId: a workload name as it stands in a certificate, accepted in canonical form only, and
// SpiffePrefix: what a listener accepts. Comparison is by whole path segments, never by text, so
// that "cli" does not stand for "client". Plain values; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

namespace raind::pki {

class SpiffeId {
  public:
    // "spiffe://<trust domain>/<segment>[/<segment>...]": lower-case scheme and domain, no port,
    // user, query, fragment, escapes, empty or dot segments.
    static Result<SpiffeId> parse(std::string_view uri);

    const std::string& str() const { return text_; }
    const std::string& trust_domain() const { return trust_domain_; }
    const std::vector<std::string>& segments() const { return segments_; }

  private:
    SpiffeId() = default;

    std::string text_;
    std::string trust_domain_;
    std::vector<std::string> segments_;
};

class SpiffePrefix {
  public:
    // A trailing slash means that at least one more segment has to follow.
    static Result<SpiffePrefix> parse(std::string_view uri);

    bool accepts(const SpiffeId& id) const;

  private:
    SpiffePrefix(SpiffeId base, bool below_only) : base_(std::move(base)), below_(below_only) {}

    SpiffeId base_;
    bool below_;
};

}  // namespace raind::pki
