// Content-addressed files: blobs/sha256/<hex>, each complete and verified, or absent.
//
// A blob is written to tmp/, hashed on the way, synced and renamed. Any thread; two writers of the
// same blob do no harm, the second replaces the first by the same bytes.
//
// kept/<hex> holds complete blobs of pulls that failed or were killed: no image has them, the next
// pull that wants one takes it back. They go when they are old or too many (KeepLimits).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/common/crypto.h"
#include "userspace/image/options.h"
#include "userspace/image/registry.h"

namespace raind::image {

class BlobStore;

// Removes its file unless it was committed.
class BlobWriter : public BlobTarget {
  public:
    BlobWriter(BlobWriter&& other) noexcept;
    BlobWriter& operator=(BlobWriter&&) = delete;
    ~BlobWriter() override;

    Status restart() override;
    Status write(std::string_view bytes) override;
    // Verifies size and digest, then publishes.
    Status commit();
    std::uint64_t written() const { return written_; }

  private:
    friend class BlobStore;
    BlobWriter(Descriptor blob, std::filesystem::path temporary, std::filesystem::path target,
               UniqueFd file);

    Descriptor blob_;
    std::filesystem::path temporary_;  // empty once committed
    std::filesystem::path target_;
    UniqueFd file_;
    Sha256 hash_;
    std::uint64_t written_ = 0;
};

class BlobStore {
  public:
    // The folders exist and are on one file system.
    BlobStore(std::filesystem::path blobs, std::filesystem::path temporary,
              std::filesystem::path kept)
        : blobs_(std::move(blobs)), temporary_(std::move(temporary)), kept_(std::move(kept)) {}

    std::filesystem::path path(const Digest& digest) const { return blobs_ / digest.hex(); }
    bool has(const Digest& digest) const;
    Result<BlobWriter> create(const Descriptor& blob) const;
    Status put(const Digest& digest, std::string_view bytes) const;
    // A small blob, verified again.
    Result<std::string> read(const Digest& digest, std::size_t limit) const;
    // Whether the bytes on disk are still those of the digest.
    Result<bool> intact(const Digest& digest) const;
    Status remove(const Digest& digest) const;

    // Puts a blob that no image has aside; its age begins now.
    Status keep(const Digest& digest) const;
    // Takes a blob back if it was put aside and its bytes are still those of the digest; one that
    // is damaged is removed. The caller holds the blob's name.
    Result<bool> take_back(const Digest& digest) const;
    // Removes what was put aside and is older than the limit, and the oldest while the rest is
    // larger than the limit. Gives the number removed.
    Result<std::size_t> prune(const KeepLimits& limits) const;

  private:
    std::filesystem::path blobs_;
    std::filesystem::path temporary_;
    std::filesystem::path kept_;
};

}  // namespace raind::image
