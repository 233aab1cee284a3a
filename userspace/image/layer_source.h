// The uncompressed stream of a layer, hashed and bounded while it is read.
//
// How a layer is packed is told by its first bytes, as other programs do it: gzip (inflated with
// isa-l), zstd, else plain tar. Whatever the manifest called it, the digest of this stream decides
// whether the content is right. Several gzip members or zstd frames are one stream; anything behind
// the last one is an error. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "raind/result.h"

#include "userspace/common/crypto.h"
#include "userspace/image/options.h"

namespace raind::image {

class LayerSource {
  public:
    // Reads from the beginning of `file`, which stays the caller's.
    static Result<std::unique_ptr<LayerSource>> open(int file, const ExtractLimits& limits);
    virtual ~LayerSource() = default;
    LayerSource(const LayerSource&) = delete;
    LayerSource& operator=(const LayerSource&) = delete;

    // The next bytes, valid until the next call; empty at the end.
    Result<std::string_view> next();
    // Reads what is left, so that the digest covers the whole stream.
    Status drain();

    // Bytes that are laid out besides, because the layer names files of those below: the same
    // limits hold for all together.
    Status copied(std::uint64_t bytes);
    // What came out so far, and what was copied.
    std::uint64_t bytes() const { return bytes_; }
    // Of the whole uncompressed stream, once next() gave the empty end. Once.
    Sha256Digest digest() { return hash_.finish(); }

  protected:
    using Bytes = std::span<const std::uint8_t>;
    LayerSource(int file, const ExtractLimits& limits);
    // The next uncompressed bytes, empty at the end.
    virtual Result<Bytes> produce() = 0;
    // The next bytes of the file, empty at its end, valid until the next call.
    Result<Bytes> read();

  private:
    Status check_limits() const;

    int file_;
    ExtractLimits limits_;
    std::vector<std::uint8_t> input_;
    Sha256 hash_;
    std::uint64_t bytes_ = 0;
    std::uint64_t compressed_ = 0;
};

}  // namespace raind::image
