// The uncompressed stream of a gzip file, hashed and bounded while it is read.
//
// Inflates with isa-l, over several gzip members, and checks each trailer. Anything but gzip
// members and an end right after the last one is an error. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "raind/result.h"

#include "userspace/common/crypto.h"
#include "userspace/image/options.h"

namespace raind::image {

class GzipSource {
  public:
    // Reads from `file`, which stays the caller's.
    GzipSource(int file, const ExtractLimits& limits);
    ~GzipSource();
    GzipSource(const GzipSource&) = delete;
    GzipSource& operator=(const GzipSource&) = delete;

    // The next bytes, valid until the next call; empty at the end.
    Result<std::string_view> next();
    // Reads what is left, so that the digest covers the whole stream.
    Status drain();

    std::uint64_t bytes() const { return bytes_; }
    // Of the whole uncompressed stream, once next() gave the empty end. Once.
    Sha256Digest digest() { return hash_.finish(); }

  private:
    struct Inflate;
    Result<std::size_t> refill();
    Status start_member();
    Status check_limits() const;

    int file_;
    ExtractLimits limits_;
    std::unique_ptr<Inflate> inflate_;
    Sha256 hash_;
    std::uint64_t bytes_ = 0;
    std::uint64_t compressed_ = 0;
    bool in_member_ = false;
    bool any_member_ = false;
    bool file_ended_ = false;
};

}  // namespace raind::image
