#include "userspace/image/blob_store.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <span>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "userspace/common/fs.h"
#include "userspace/common/ids.h"

namespace raind::image {

BlobWriter::BlobWriter(Descriptor blob, std::filesystem::path temporary,
                       std::filesystem::path target, UniqueFd file)
    : blob_(std::move(blob)),
      temporary_(std::move(temporary)),
      target_(std::move(target)),
      file_(std::move(file)) {
}

BlobWriter::BlobWriter(BlobWriter&& other) noexcept
    : blob_(std::move(other.blob_)),
      temporary_(std::exchange(other.temporary_, {})),
      target_(std::move(other.target_)),
      file_(std::move(other.file_)),
      hash_(std::move(other.hash_)),
      written_(other.written_) {
}

BlobWriter::~BlobWriter() {
    if (!temporary_.empty())
        ::unlink(temporary_.c_str());
}

Status BlobWriter::restart() {
    if (::ftruncate(file_.get(), 0) != 0 || ::lseek(file_.get(), 0, SEEK_SET) != 0)
        return os_error("empty " + temporary_.string());
    hash_ = Sha256();
    written_ = 0;
    return {};
}

Status BlobWriter::write(std::string_view bytes) {
    if (bytes.size() > blob_.size - written_)
        return Error(Errc::InvalidArgument,
                     fmt::format("blob {} is longer than the {} bytes that the manifest states",
                                 blob_.digest.str(), blob_.size));
    hash_.update(std::as_bytes(std::span(bytes)));
    written_ += bytes.size();
    return write_all(file_.get(), bytes);
}

Status BlobWriter::commit() {
    if (written_ != blob_.size)
        return Error(Errc::InvalidArgument,
                     fmt::format("blob {} has {} bytes, the manifest states {}", blob_.digest.str(),
                                 written_, blob_.size));
    const Digest digest = Digest::from(hash_.finish());
    if (digest != blob_.digest)
        return Error(Errc::InvalidArgument,
                     fmt::format("blob {} does not match its digest: the bytes are {}",
                                 blob_.digest.str(), digest.str()));
    if (::fsync(file_.get()) != 0)
        return os_error("sync " + temporary_.string());
    if (::rename(temporary_.c_str(), target_.c_str()) != 0)
        return os_error("publish " + target_.string());
    temporary_.clear();
    return fsync_dir(target_.parent_path());
}

bool BlobStore::has(const Digest& digest) const {
    struct stat info{};
    return ::lstat(path(digest).c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

Result<BlobWriter> BlobStore::create(const Descriptor& blob) const {
    const auto temporary = temporary_ / ("blob-" + make_ulid());
    RAIND_TRY(UniqueFd file, open_file(temporary, O_RDWR | O_CREAT | O_EXCL, 0600));
    return BlobWriter(blob, temporary, path(blob.digest), std::move(file));
}

Status BlobStore::put(const Digest& digest, std::string_view bytes) const {
    RAIND_TRY(BlobWriter writer,
              create({.media_type = {}, .digest = digest, .size = bytes.size()}));
    RAIND_CHECK(writer.write(bytes));
    return writer.commit();
}

Result<std::string> BlobStore::read(const Digest& digest, std::size_t limit) const {
    RAIND_TRY(std::string bytes, read_file(path(digest), limit));
    if (Digest::of(bytes) != digest)
        return Error(Errc::Internal, "damaged on disk: " + path(digest).string());
    return bytes;
}

Result<bool> BlobStore::intact(const Digest& digest) const {
    RAIND_TRY(const UniqueFd file, open_file(path(digest), O_RDONLY));
    Sha256 hash;
    std::vector<std::byte> buffer(256U << 10);
    while (true) {
        const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
        if (n == 0)
            return Digest::from(hash.finish()) == digest;
        if (n > 0)
            hash.update(std::span(buffer).first(static_cast<std::size_t>(n)));
        else if (errno != EINTR)
            return os_error("read " + path(digest).string());
    }
}

Status BlobStore::remove(const Digest& digest) const {
    if (::unlink(path(digest).c_str()) != 0 && errno != ENOENT)
        return os_error("remove " + path(digest).string());
    return {};
}

}  // namespace raind::image
