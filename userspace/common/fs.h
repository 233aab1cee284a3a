// Files and folders: whole reads with a limit, atomic writes, removal that never follows links out
// of the tree, and an owning temporary folder.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "raind/result.h"
#include "raind/unique_fd.h"

namespace raind {

namespace stdfs = std::filesystem;

Result<std::string> read_file(const stdfs::path& path, std::size_t limit = 16U << 20);

// Temporary file in the same folder, fsync, rename, fsync of the folder: after a crash there is the
// old file or the new one, never a part.
Status write_file_atomic(const stdfs::path& path, std::string_view bytes, mode_t mode = 0600);

// As write_file_atomic without durability, for files on tmpfs.
Status write_file_rename(const stdfs::path& path, std::string_view bytes, mode_t mode = 0600);

// Both first remove what a killed write of the same file has left beside it; this does only that.
void remove_unfinished(const stdfs::path& path);

// One write(2) into an existing file: sysctls, cgroup files, id maps.
Status write_existing(const stdfs::path& path, std::string_view bytes);

Status make_dirs(const stdfs::path& path, mode_t mode = 0755);
Status set_mode(const stdfs::path& path, mode_t mode);

// Removes a file or a whole tree; absent is success. Works on descriptors, so that a link that
// appears meanwhile is removed, not followed.
Status remove_tree(const stdfs::path& path);
Status fsync_dir(const stdfs::path& path);

Result<UniqueFd> open_file(const stdfs::path& path, int flags, mode_t mode = 0);

// Writes everything, over short writes and EINTR.
Status write_all(int fd, std::string_view bytes);

// Copies the content of a file into an empty one; holes stay holes.
Status copy_content(int source, int target);

class TempDir {
  public:
    static Result<TempDir> make(const stdfs::path& parent, std::string_view prefix);
    TempDir(TempDir&&) noexcept;
    TempDir& operator=(TempDir&&) noexcept;
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir();
    const stdfs::path& path() const { return path_; }
    // Keeps the folder: the caller owns it now.
    stdfs::path release();

  private:
    explicit TempDir(stdfs::path path) : path_(std::move(path)) {}
    stdfs::path path_;
};

// An exclusive flock(2) on a file, released by the descriptor's end. Fails at once if it is taken.
Result<UniqueFd> lock_file(const stdfs::path& path);

}  // namespace raind
