// Content-addressed files: blobs/sha256/<hex>, each complete and verified, or absent.
//
// A blob is written to tmp/, hashed on the way, synced and renamed. Any thread; two writers of the
// same blob do no harm, the second replaces the first by the same bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/common/crypto.h"
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
    // Both folders exist and are on one file system.
    BlobStore(std::filesystem::path blobs, std::filesystem::path temporary)
        : blobs_(std::move(blobs)), temporary_(std::move(temporary)) {}

    std::filesystem::path path(const Digest& digest) const { return blobs_ / digest.hex(); }
    bool has(const Digest& digest) const;
    Result<BlobWriter> create(const Descriptor& blob) const;
    Status put(const Digest& digest, std::string_view bytes) const;
    // A small blob, verified again.
    Result<std::string> read(const Digest& digest, std::size_t limit) const;
    // Whether the bytes on disk are still those of the digest.
    Result<bool> intact(const Digest& digest) const;
    Status remove(const Digest& digest) const;

  private:
    std::filesystem::path blobs_;
    std::filesystem::path temporary_;
};

}  // namespace raind::image
