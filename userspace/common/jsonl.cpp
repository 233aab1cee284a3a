#include "userspace/common/jsonl.h"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace raind {
namespace {

stdfs::path backup(const stdfs::path& path, int number) {
    return fmt::format("{}.{}", path.string(), number);
}

// The last max_bytes of one file, from the beginning of a line.
Result<std::string> read_tail(const stdfs::path& path, std::size_t max_bytes) {
    RAIND_TRY(const UniqueFd fd, open_file(path, O_RDONLY));
    struct stat info{};
    if (fstat(fd.get(), &info) != 0)
        return os_error(fmt::format("stat {}", path.string()));
    const auto size = static_cast<std::size_t>(info.st_size);
    const std::size_t wanted = std::min(size, max_bytes);
    std::string bytes(wanted, '\0');
    std::size_t done = 0;
    while (done < wanted) {
        const ssize_t n = pread(fd.get(), bytes.data() + done, wanted - done,
                                static_cast<off_t>(size - wanted + done));
        if (n <= 0)
            break;
        done += static_cast<std::size_t>(n);
    }
    bytes.resize(done);
    if (wanted < size)
        bytes.erase(0, bytes.find('\n') + 1);
    return bytes;
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
    RAIND_TRY(fd_, open_file(path_, O_WRONLY | O_CREAT | O_APPEND, options_.mode));
    struct stat info{};
    if (fstat(fd_.get(), &info) != 0)
        return os_error(fmt::format("stat {}", path_.string()));
    if (fchmod(fd_.get(), options_.mode) != 0)
        return os_error(fmt::format("chmod {}", path_.string()));
    size_ = static_cast<std::uint64_t>(info.st_size);
    return {};
}

Status JsonlFile::rotate() {
    for (int number = options_.backups; number > 1; --number)
        rename(backup(path_, number - 1).c_str(), backup(path_, number).c_str());
    if (rename(path_.c_str(), backup(path_, 1).c_str()) != 0)
        return os_error(fmt::format("rotate {}", path_.string()));
    return reopen();
}

Status JsonlFile::append(std::string_view lines) {
    const std::lock_guard lock(mutex_);
    if (!fd_)
        RAIND_CHECK(reopen());
    if (options_.rotate_bytes != 0 && size_ != 0 && size_ + lines.size() > options_.rotate_bytes)
        RAIND_CHECK(rotate());
    const std::uint64_t before = size_;
    if (auto written = write_all(fd_.get(), lines); !written) {
        // Half a line would damage the file for every reader.
        (void)!ftruncate(fd_.get(), static_cast<off_t>(before));
        return std::move(written).context(path_.string());
    }
    size_ += lines.size();
    return {};
}

Result<std::string> tail_lines(const stdfs::path& path, std::size_t lines, std::size_t max_bytes) {
    std::string out;
    std::size_t count = 0;
    for (int number = 0; count < lines && out.size() < max_bytes; ++number) {
        const stdfs::path part = number == 0 ? path : backup(path, number);
        auto bytes = read_tail(part, max_bytes - out.size());
        if (!bytes)
            break;
        out.insert(0, *bytes);
        count = static_cast<std::size_t>(std::ranges::count(out, '\n'));
    }
    for (; count > lines; --count)
        out.erase(0, out.find('\n') + 1);
    return out;
}

}  // namespace raind
