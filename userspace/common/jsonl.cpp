#include "userspace/common/jsonl.h"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace raind {
namespace {

stdfs::path backup(const stdfs::path& path, int number) {
    return fmt::format("{}.{}", path.string(), number);
}

// Where the last whole line of the file ends; 0 when there is none.
Result<std::uint64_t> last_line_end(int fd, std::uint64_t end) {
    constexpr std::size_t kBlock = 64 * 1024;
    std::string block(kBlock, '\0');
    while (end > 0) {
        const std::size_t wanted = std::min<std::uint64_t>(end, kBlock);
        const ssize_t n = pread(fd, block.data(), wanted, static_cast<off_t>(end - wanted));
        if (n < 0 && errno == EINTR)
            continue;
        if (n != static_cast<ssize_t>(wanted))
            return os_error("read");
        const auto at = std::string_view(block.data(), wanted).rfind('\n');
        if (at != std::string_view::npos)
            return end - wanted + at + 1;
        end -= wanted;
    }
    return std::uint64_t{0};
}

// The file and its backups, newest first. All are opened before one is read: when a rotation comes
// between, a file may show under two numbers, and is then taken once.
Result<std::vector<UniqueFd>> open_parts(const stdfs::path& path) {
    constexpr int kMaxParts = 64;
    std::vector<UniqueFd> parts;
    std::vector<std::pair<dev_t, ino_t>> seen;
    for (int number = 0; number < kMaxParts; ++number) {
        const stdfs::path name = number == 0 ? path : backup(path, number);
        UniqueFd fd(open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        struct stat info{};
        if (!fd && errno != ENOENT)
            return os_error(fmt::format("open {}", name.string()));
        if (!fd && number > 0)
            break;
        if (!fd || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))
            continue;
        const std::pair<dev_t, ino_t> id(info.st_dev, info.st_ino);
        if (std::ranges::find(seen, id) != seen.end())
            continue;
        seen.push_back(id);
        parts.push_back(std::move(fd));
    }
    return parts;
}

struct Tail {
    std::string text;
    bool whole = false;  // nothing of the file was left out at its beginning
};

// The last lines of one file, at most `lines` and max_bytes. A line without its end is left out.
Result<Tail> read_tail(int fd, std::size_t lines, std::size_t max_bytes) {
    struct stat info{};
    if (fstat(fd, &info) != 0)
        return os_error("stat");
    RAIND_TRY(const std::uint64_t end, last_line_end(fd, static_cast<std::uint64_t>(info.st_size)));
    // One byte more shows whether the first line is whole.
    const std::size_t wanted = std::min<std::uint64_t>(end, std::uint64_t{max_bytes} + 1);
    std::string bytes(wanted, '\0');
    std::size_t done = 0;
    while (done < wanted) {
        const ssize_t n =
            pread(fd, bytes.data() + done, wanted - done, static_cast<off_t>(end - wanted + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return os_error("read");
        done += static_cast<std::size_t>(n);
    }
    std::size_t first = end <= max_bytes ? 0 : bytes.find('\n') + 1;
    std::size_t count = 0;
    for (std::size_t at = bytes.size(); at > first; --at)
        if (bytes[at - 1] == '\n' && ++count > lines) {
            first = at;
            break;
        }
    bytes.erase(0, first);
    return Tail{std::move(bytes), first == 0};
}

}  // namespace

JsonlFile::JsonlFile(JsonlFile&& other) noexcept
    : path_(std::move(other.path_)),
      options_(other.options_),
      fd_(std::move(other.fd_)),
      size_(other.size_) {
}

Result<JsonlFile> JsonlFile::open(stdfs::path path, JsonlOptions options) {
    JsonlFile file(std::move(path), options);
    RAIND_CHECK(file.reopen());
    return file;
}

Status JsonlFile::reopen() {
    fd_.reset();
    RAIND_TRY(UniqueFd fd,
              open_file(path_, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, options_.mode));
    struct stat info{};
    if (fstat(fd.get(), &info) != 0)
        return os_error(fmt::format("stat {}", path_.string()));
    if (!S_ISREG(info.st_mode))
        return Error(Errc::Internal, fmt::format("{}: not a regular file", path_.string()));
    if (fchmod(fd.get(), options_.mode) != 0)
        return os_error(fmt::format("chmod {}", path_.string()));
    const auto size = static_cast<std::uint64_t>(info.st_size);
    RAIND_TRY(const std::uint64_t whole, last_line_end(fd.get(), size).context(path_.string()));
    // Power was lost, or the disk full, in the middle of a line.
    if (whole != size && ftruncate(fd.get(), static_cast<off_t>(whole)) != 0)
        return os_error(fmt::format("truncate {}", path_.string()));
    fd_ = std::move(fd);
    size_ = whole;
    return {};
}

// A file that is not there (an earlier rotation got no further) is no failure.
Status JsonlFile::rotate() {
    for (int number = options_.backups; number >= 1; --number) {
        const stdfs::path from = number == 1 ? path_ : backup(path_, number - 1);
        if (rename(from.c_str(), backup(path_, number).c_str()) != 0 && errno != ENOENT)
            return os_error(fmt::format("rotate {}", from.string()));
    }
    if (options_.backups < 1 && unlink(path_.c_str()) != 0 && errno != ENOENT)
        return os_error(fmt::format("remove {}", path_.string()));
    return reopen();
}

Status JsonlFile::append(std::string_view lines) {
    const std::lock_guard lock(mutex_);
    if (!fd_)
        RAIND_CHECK(reopen());
    if (options_.rotate_bytes != 0 && size_ != 0 && size_ + lines.size() > options_.rotate_bytes)
        RAIND_CHECK(rotate());
    if (auto written = write_all(fd_.get(), lines); !written) {
        // Half a line would damage the file for every reader.
        if (ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0)
            fd_.reset();
        return std::move(written).context(path_.string());
    }
    size_ += lines.size();
    return {};
}

Result<std::string> tail_lines(const stdfs::path& path, std::size_t lines, std::size_t max_bytes) {
    RAIND_TRY(const std::vector<UniqueFd> parts, open_parts(path));
    std::vector<std::string> texts;
    for (const UniqueFd& part : parts) {
        RAIND_TRY(Tail tail, read_tail(part.get(), lines, max_bytes).context(path.string()));
        lines -= static_cast<std::size_t>(std::ranges::count(tail.text, '\n'));
        max_bytes -= tail.text.size();
        texts.push_back(std::move(tail.text));
        // Nothing of an older file once a line of this one did not fit.
        if (!tail.whole)
            break;
    }
    std::string out;
    for (auto it = texts.rbegin(); it != texts.rend(); ++it)
        out += *it;
    return out;
}

}  // namespace raind
