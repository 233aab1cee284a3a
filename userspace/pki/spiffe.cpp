#include "userspace/pki/spiffe.h"

#include <algorithm>

namespace raind::pki {

namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::size_t kMaxLength = 2048;

bool is_domain_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool is_path_char(char c) {
    return is_domain_char(c) || (c >= 'A' && c <= 'Z');
}

Error refused(std::string_view why) {
    return Error(Errc::Forbidden, std::string("not a canonical SPIFFE id: ").append(why));
}

}  // namespace

Result<SpiffeId> SpiffeId::parse(std::string_view uri) {
    if (uri.size() > kMaxLength)
        return refused("too long");
    if (!uri.starts_with(kScheme))
        return refused("scheme is not spiffe");
    SpiffeId id;
    id.text_ = uri;
    std::string_view rest = uri.substr(kScheme.size());
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos)
        return refused("no path");
    id.trust_domain_ = rest.substr(0, slash);
    if (id.trust_domain_.empty() || !std::ranges::all_of(id.trust_domain_, is_domain_char))
        return refused("trust domain");
    rest.remove_prefix(slash + 1);
    while (true) {
        const std::size_t end = rest.find('/');
        const std::string_view segment = rest.substr(0, end);
        if (segment.empty() || segment == "." || segment == ".." ||
            !std::ranges::all_of(segment, is_path_char))
            return refused("path segment");
        id.segments_.emplace_back(segment);
        if (end == std::string_view::npos)
            return id;
        rest.remove_prefix(end + 1);
    }
}

Result<SpiffePrefix> SpiffePrefix::parse(std::string_view uri) {
    const bool below_only = uri.ends_with('/');
    if (below_only)
        uri.remove_suffix(1);
    RAIND_TRY(SpiffeId base, SpiffeId::parse(uri));
    return SpiffePrefix(std::move(base), below_only);
}

bool SpiffePrefix::accepts(const SpiffeId& id) const {
    if (id.trust_domain() != base_.trust_domain())
        return false;
    const auto& want = base_.segments();
    const auto& have = id.segments();
    if (have.size() < want.size() + (below_ ? 1 : 0))
        return false;
    return std::equal(want.begin(), want.end(), have.begin());
}

}  // namespace raind::pki
