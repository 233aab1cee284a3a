#include "userspace/image/blob_store.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
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

namespace {

Result<bool> holds(const std::filesystem::path& path, const Digest& digest) {
    RAIND_TRY(const UniqueFd file, open_file(path, O_RDONLY | O_NOFOLLOW));
    Sha256 hash;
    std::vector<std::byte> buffer(256U << 10);
    while (true) {
        const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
        if (n == 0)
            return Digest::from(hash.finish()) == digest;
        if (n > 0)
            hash.update(std::span(buffer).first(static_cast<std::size_t>(n)));
        else if (errno != EINTR)
            return os_error("read " + path.string());
    }
}

struct Kept {
    std::filesystem::path path;
    std::chrono::system_clock::time_point since;
    std::uint64_t size = 0;
};

Result<std::vector<Kept>> list_kept(const std::filesystem::path& folder) {
    std::vector<Kept> found;
    std::error_code error;
    for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
         at.increment(error)) {
        struct stat info{};
        // Taken back meanwhile.
        if (::lstat(at->path().c_str(), &info) != 0)
            continue;
        found.push_back({.path = at->path(),
                         .since = std::chrono::system_clock::from_time_t(info.st_mtime),
                         .size = static_cast<std::uint64_t>(info.st_size)});
    }
    if (error)
        return os_error("list " + folder.string(), error.value());
    return found;
}

}  // namespace

Result<bool> BlobStore::intact(const Digest& digest) const {
    return holds(path(digest), digest);
}

Status BlobStore::remove(const Digest& digest) const {
    if (::unlink(path(digest).c_str()) != 0 && errno != ENOENT)
        return os_error("remove " + path(digest).string());
    return {};
}

Status BlobStore::keep(const Digest& digest) const {
    const auto target = kept_ / digest.hex();
    if (::rename(path(digest).c_str(), target.c_str()) != 0)
        return errno == ENOENT ? Status() : os_error("keep " + path(digest).string());
    if (::utimensat(AT_FDCWD, target.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) != 0)
        return os_error("keep " + target.string());
    return {};
}

Result<bool> BlobStore::take_back(const Digest& digest) const {
    const auto from = kept_ / digest.hex();
    struct stat info{};
    if (::lstat(from.c_str(), &info) != 0 && errno == ENOENT)
        return false;
    auto good = holds(from, digest);
    if (!good || !*good) {
        RAIND_CHECK(remove_tree(from));
        return false;
    }
    // Verified, but perhaps never on disk: it was put aside without waiting for that.
    RAIND_TRY(const UniqueFd file, open_file(from, O_RDONLY | O_NOFOLLOW));
    if (::fsync(file.get()) != 0)
        return os_error("sync " + from.string());
    if (::rename(from.c_str(), path(digest).c_str()) != 0)
        return errno == ENOENT ? Result<bool>(false) : os_error("take back " + from.string());
    RAIND_CHECK(fsync_dir(blobs_));
    return true;
}

Result<std::size_t> BlobStore::prune(const KeepLimits& limits) const {
    RAIND_TRY(std::vector<Kept> kept, list_kept(kept_));
    std::ranges::sort(kept, std::ranges::greater(), &Kept::since);
    const auto now = std::chrono::system_clock::now();
    std::uint64_t total = 0;
    std::size_t removed = 0;
    for (const Kept& blob : kept) {
        total += blob.size;
        // A clock that was set back must not make them last.
        const bool fresh = blob.since > now - limits.age && blob.since < now + limits.age;
        if (fresh && total <= limits.bytes)
            continue;
        RAIND_CHECK(remove_tree(blob.path));
        ++removed;
    }
    return removed;
}

}  // namespace raind::image
