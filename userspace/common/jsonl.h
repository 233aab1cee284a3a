// An event file of JSON lines: whole lines in batched O_APPEND writes, rotation by size.
// Thread-safe. A write that fails (disk full) is an error for the caller, who counts or refuses;
// the next append tries again, so room that returns is used without a restart.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/common/fs.h"

namespace raind {

struct JsonlOptions {
    std::uint64_t rotate_bytes = 50U << 20;  // 0: never
    int backups = 5;                         // file.1 is the newest
    mode_t mode = 0640;
};

class JsonlFile {
  public:
    static Result<JsonlFile> open(stdfs::path path, JsonlOptions options);
    JsonlFile(JsonlFile&& other) noexcept;
    JsonlFile& operator=(JsonlFile&&) = delete;

    // `lines` is one or more complete lines, each with its newline.
    Status append(std::string_view lines);
    const stdfs::path& path() const { return path_; }

  private:
    JsonlFile(stdfs::path path, JsonlOptions options) : path_(std::move(path)), options_(options) {}
    Status reopen();
    Status rotate();

    stdfs::path path_;
    JsonlOptions options_;
    std::mutex mutex_;  // guards fd_, size_
    UniqueFd fd_;
    std::uint64_t size_ = 0;
};

// The last `lines` lines over the file and its backups, at most max_bytes; whole lines only.
Result<std::string> tail_lines(const stdfs::path& path, std::size_t lines, std::size_t max_bytes);

}  // namespace raind
