#include "userspace/image/digest.h"

#include <fmt/format.h>

#include "userspace/common/text.h"

namespace raind::image {

namespace {
constexpr std::size_t kHexLength = 64;
}

Result<Digest> Digest::from_hex(std::string_view hex) {
    if (hex.size() != kHexLength ||
        hex.find_first_not_of("0123456789abcdef") != std::string_view::npos)
        return Error(Errc::InvalidArgument, "a sha256 digest has 64 lower-case hex digits");
    return Digest(std::string(hex));
}

Result<Digest> Digest::parse(std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos)
        return Error(Errc::InvalidArgument, "a digest has the form sha256:<hex>");
    if (const auto name = text.substr(0, colon); name != "sha256")
        return Error(Errc::InvalidArgument,
                     fmt::format("digest algorithm '{}' is not supported, only sha256",
                                 printable(name.substr(0, 32))));
    return from_hex(text.substr(colon + 1));
}

Digest Digest::of(std::string_view bytes) {
    return from(sha256(bytes));
}

Digest Digest::from(const Sha256Digest& bytes) {
    return Digest(to_hex(bytes));
}

std::vector<Digest> chain_ids(std::span<const Digest> diff_ids) {
    std::vector<Digest> chain;
    chain.reserve(diff_ids.size());
    for (const Digest& diff : diff_ids) {
        if (chain.empty())
            chain.push_back(diff);
        else
            chain.push_back(Digest::of(chain.back().str() + " " + diff.str()));
    }
    return chain;
}

}  // namespace raind::image
