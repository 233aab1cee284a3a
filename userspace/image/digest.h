// Content digests of images: sha256 only, the one algorithm registries use.
//
// Digest is a value: 64 lower-case hex digits that were checked when it was made. Any thread.
#pragma once

#include <compare>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

#include "userspace/common/crypto.h"

namespace raind::image {

class Digest {
  public:
    // "sha256:<64 hex digits>"; other algorithms are refused by name.
    static Result<Digest> parse(std::string_view text);
    static Result<Digest> from_hex(std::string_view hex);
    static Digest of(std::string_view bytes);
    static Digest from(const Sha256Digest& bytes);

    const std::string& hex() const { return hex_; }
    std::string str() const { return "sha256:" + hex_; }
    auto operator<=>(const Digest&) const = default;

  private:
    explicit Digest(std::string hex) : hex_(std::move(hex)) {}
    std::string hex_;
};

// Chain ids of the OCI image format: each names a layer together with everything below it.
// `diff_ids` start at the lowest layer; the result has one id for each.
std::vector<Digest> chain_ids(std::span<const Digest> diff_ids);

}  // namespace raind::image
