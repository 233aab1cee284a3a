#include "userspace/common/fs.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace raind {
namespace {

Error file_error(std::string_view what, const stdfs::path& path, int err = errno) {
    return os_error(fmt::format("{} {}", what, path.string()), err);
}

enum class Durability { None, Full };

struct DirCloser {
    void operator()(DIR* dir) const { closedir(dir); }
};

using Dir = std::unique_ptr<DIR, DirCloser>;

constexpr std::string_view kUnique = "XXXXXX";

// Hidden, so that nothing that reads a folder takes a half-written file for one of its own.
std::string unfinished_prefix(const stdfs::path& path) {
    return fmt::format(".{}.tmp-", path.filename().string());
}

// Who writes holds the lock of the file: remove_unfinished() takes only what nobody holds.
Result<UniqueFd> make_unfinished(std::string& temporary) {
    while (true) {
        std::string name = temporary;
        UniqueFd fd(mkostemp(name.data(), O_CLOEXEC));
        if (!fd)
            return file_error("create", name);
        struct stat info{};
        if (flock(fd.get(), LOCK_EX) != 0 || fstat(fd.get(), &info) != 0)
            return file_error("lock", name);
        if (info.st_nlink == 0)
            continue;
        temporary = std::move(name);
        return fd;
    }
}

Status write_and_rename(const stdfs::path& path, std::string_view bytes, mode_t mode,
                        Durability durability) {
    remove_unfinished(path);
    std::string temporary = path.parent_path() / (unfinished_prefix(path) + std::string(kUnique));
    RAIND_TRY(const UniqueFd fd, make_unfinished(temporary));
    const auto fill = [&]() -> Status {
        RAIND_CHECK(write_all(fd.get(), bytes));
        if (fchmod(fd.get(), mode) != 0)
            return file_error("chmod", temporary);
        if (durability == Durability::Full && fsync(fd.get()) != 0)
            return file_error("fsync", temporary);
        if (rename(temporary.c_str(), path.c_str()) != 0)
            return file_error("rename to", path);
        return {};
    };
    if (auto filled = fill(); !filled) {
        unlink(temporary.c_str());
        return std::move(filled).context(fmt::format("write {}", path.string()));
    }
    return durability == Durability::Full ? fsync_dir(path.parent_path()) : Status{};
}

// A container can make trees of any depth: what lies deeper than kMaxDepth is moved up to the top
// and removed from there, so that neither stack nor descriptors grow with the tree.
class TreeRemoval {
  public:
    Status run(int parent, const char* name) {
        RAIND_TRY(const Dir top, open_or_remove(parent, name));
        if (!top)
            return {};
        top_ = dirfd(top.get());
        do {
            moved_ = false;
            rewinddir(top.get());
            RAIND_CHECK(remove_entries(top.get(), 1));
        } while (moved_);
        return remove_folder(parent, name);
    }

  private:
    static constexpr int kMaxDepth = 64;

    // Nothing when the entry was no folder and is gone.
    static Result<Dir> open_or_remove(int parent, const char* name) {
        if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
            return Dir();
        if (errno != EISDIR && errno != EPERM)
            return os_error(fmt::format("remove {}", name));
        const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            return Dir();
        if (fd < 0)
            return os_error(fmt::format("open {}", name));
        Dir dir(fdopendir(fd));
        if (!dir)
            return os_error(fmt::format("read {}", name));
        return dir;
    }

    static Status remove_folder(int parent, const char* name) {
        if (unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
            return os_error(fmt::format("remove folder {}", name));
        return {};
    }

    // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth.
    Status remove_entries(DIR* dir, int depth) {
        while (const dirent* entry = readdir(dir)) {
            const std::string_view child = entry->d_name;
            if (child != "." && child != "..")
                RAIND_CHECK(remove_entry(dirfd(dir), entry->d_name, depth));
        }
        return {};
    }

    // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth.
    Status remove_entry(int parent, const char* name, int depth) {
        if (depth == kMaxDepth) {
            if (unlinkat(parent, name, 0) == 0 || unlinkat(parent, name, AT_REMOVEDIR) == 0 ||
                errno == ENOENT)
                return {};
            return move_up(parent, name);
        }
        RAIND_TRY(const Dir dir, open_or_remove(parent, name));
        if (!dir)
            return {};
        RAIND_CHECK(remove_entries(dir.get(), depth + 1));
        return remove_folder(parent, name);
    }

    Status move_up(int parent, const char* name) {
        do {
            const std::string free = fmt::format(".moved-up-{}", next_++);
            if (renameat2(parent, name, top_, free.c_str(), RENAME_NOREPLACE) == 0) {
                moved_ = true;
                return {};
            }
        } while (errno == EEXIST);
        return os_error(fmt::format("move {}", name));
    }

    int top_ = -1;
    bool moved_ = false;
    std::uint64_t next_ = 0;
};

}  // namespace

Result<UniqueFd> open_file(const stdfs::path& path, int flags, mode_t mode) {
    UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd)
        return file_error("open", path);
    return fd;
}

Result<std::string> read_file(const stdfs::path& path, std::size_t limit) {
    RAIND_TRY(const UniqueFd fd, open_file(path, O_RDONLY));
    std::string bytes;
    constexpr std::size_t kChunk = 64U << 10;
    while (true) {
        const std::size_t had = bytes.size();
        bytes.resize(had + kChunk);
        const ssize_t n = read(fd.get(), bytes.data() + had, kChunk);
        if (n < 0 && errno == EINTR) {
            bytes.resize(had);
            continue;
        }
        if (n < 0)
            return file_error("read", path);
        bytes.resize(had + static_cast<std::size_t>(n));
        if (n == 0)
            return bytes;
        if (bytes.size() > limit)
            return Error(Errc::TooLarge, fmt::format("{} is over {} bytes", path.string(), limit));
    }
}

namespace {

constexpr std::size_t kPiece = 1U << 20;

// Both descriptors stand at the same place.
Status copy_range(int source, int target, off_t length) {
    while (length > 0) {
        const ssize_t n =
            copy_file_range(source, nullptr, target, nullptr, static_cast<std::size_t>(length), 0);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        length -= std::max<ssize_t>(n, 0);
    }
    // What the file systems cannot do between each other, from where it stopped.
    std::vector<char> piece(length > 0 ? kPiece : 0);
    while (length > 0) {
        const ssize_t n =
            read(source, piece.data(), std::min(piece.size(), static_cast<std::size_t>(length)));
        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return os_error("read");
        RAIND_CHECK(write_all(target, {piece.data(), static_cast<std::size_t>(n)}));
        length -= n;
    }
    return {};
}

}  // namespace

Status copy_content(int source, int target) {
    struct stat info{};
    if (fstat(source, &info) != 0)
        return os_error("stat");
    off_t at = 0;
    while (at < info.st_size) {
        const off_t data = lseek(source, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break;
        const off_t hole = data < 0 ? -1 : lseek(source, data, SEEK_HOLE);
        if (hole < 0 || lseek(source, data, SEEK_SET) < 0 || lseek(target, data, SEEK_SET) < 0)
            return os_error("seek");
        RAIND_CHECK(copy_range(source, target, hole - data));
        at = hole;
    }
    if (ftruncate(target, info.st_size) != 0)
        return os_error("set size");
    return {};
}

void remove_unfinished(const stdfs::path& path) {
    const std::string prefix = unfinished_prefix(path);
    std::error_code error;
    stdfs::directory_iterator at(path.has_parent_path() ? path.parent_path() : ".", error);
    for (; !error && at != stdfs::directory_iterator(); at.increment(error)) {
        const std::string name = at->path().filename().string();
        if (!name.starts_with(prefix) || name.size() != prefix.size() + kUnique.size())
            continue;
        const auto fd = open_file(at->path(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        if (fd && flock(fd->get(), LOCK_EX | LOCK_NB) == 0)
            unlink(at->path().c_str());
    }
}

Status write_file_atomic(const stdfs::path& path, std::string_view bytes, mode_t mode) {
    return write_and_rename(path, bytes, mode, Durability::Full);
}

Status write_file_rename(const stdfs::path& path, std::string_view bytes, mode_t mode) {
    return write_and_rename(path, bytes, mode, Durability::None);
}

Status write_existing(const stdfs::path& path, std::string_view bytes) {
    RAIND_TRY(const UniqueFd fd, open_file(path, O_WRONLY));
    if (write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
        return file_error("write", path);
    return {};
}

Status make_dirs(const stdfs::path& path, mode_t mode) {
    if (mkdir(path.c_str(), mode) == 0)
        return set_mode(path, mode);
    if (errno == ENOENT && path.has_parent_path() && path.parent_path() != path) {
        RAIND_CHECK(make_dirs(path.parent_path(), 0755));
        // Once: in /proc there is nothing to be made, and that is what it says.
        if (mkdir(path.c_str(), mode) == 0)
            return set_mode(path, mode);
    }
    struct stat info{};
    if (errno == EEXIST && stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
        return {};
    return file_error("make folder", path, errno == 0 ? ENOTDIR : errno);
}

Status set_mode(const stdfs::path& path, mode_t mode) {
    if (chmod(path.c_str(), mode) != 0)
        return file_error("chmod", path);
    return {};
}

Status remove_tree(const stdfs::path& path) {
    return TreeRemoval()
        .run(AT_FDCWD, path.c_str())
        .context(fmt::format("remove {}", path.string()));
}

Status fsync_dir(const stdfs::path& path) {
    RAIND_TRY(const UniqueFd fd,
              open_file(path.empty() ? stdfs::path(".") : path, O_RDONLY | O_DIRECTORY));
    if (fsync(fd.get()) != 0)
        return file_error("fsync", path);
    return {};
}

Status write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return os_error("write");
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

Result<TempDir> TempDir::make(const stdfs::path& parent, std::string_view prefix) {
    std::string text = (parent / fmt::format("{}XXXXXX", prefix)).string();
    if (mkdtemp(text.data()) == nullptr)
        return file_error("make temporary folder", text);
    return TempDir(text);
}

TempDir::TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {
}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
}

TempDir::~TempDir() {
    if (!path_.empty())
        (void)remove_tree(path_).has_value();
}

stdfs::path TempDir::release() {
    return std::exchange(path_, {});
}

Result<UniqueFd> lock_file(const stdfs::path& path) {
    RAIND_TRY(UniqueFd fd, open_file(path, O_RDWR | O_CREAT, 0600));
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
        return Error(Errc::Conflict, fmt::format("{} is locked by another process", path.string()),
                     errno);
    return fd;
}

}  // namespace raind
