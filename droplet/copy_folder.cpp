#include "droplet/copy_folder.h"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <limits.h>
#include <map>
#include <string>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

#include "raind/unique_fd.h"

#include "userspace/common/folder_names.h"
#include "userspace/common/fs.h"

namespace raind::droplet {

namespace {

constexpr int kMaxDepth = 256;

Result<UniqueFd> open_at(int dir, const char* name, int flags, mode_t mode = 0) {
    UniqueFd fd(::openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!fd)
        return os_error(name);
    return fd;
}

// The root of a user namespace opens everything but what belongs to nobody in it.
Result<UniqueFd> open_source(int dir, const char* name, int flags) {
    auto fd = open_at(dir, name, O_RDONLY | flags);
    if (!fd && fd.error().os_error() == EACCES)
        return Error(Errc::InvalidArgument,
                     std::string(name) + ": its user or group is above 65535: containers have none",
                     EACCES);
    return fd;
}

// What means the same to every container; labels of security modules do not.
bool is_copied(std::string_view attribute) {
    return attribute.starts_with("user.") || attribute == "security.capability" ||
           attribute == "system.posix_acl_access" || attribute == "system.posix_acl_default";
}

Status copy_attribute(int source, int target, const char* name) {
    std::vector<char> value(XATTR_SIZE_MAX);
    const ssize_t size = ::fgetxattr(source, name, value.data(), value.size());
    if (size < 0 || ::fsetxattr(target, name, value.data(), static_cast<std::size_t>(size), 0) != 0)
        return os_error(name);
    return {};
}

Status copy_attributes(int source, int target) {
    std::vector<char> names(XATTR_LIST_MAX);
    const ssize_t size = ::flistxattr(source, names.data(), names.size());
    if (size < 0 && errno != ENOTSUP)
        return os_error("list of attributes");
    for (const char* name = names.data(); name < names.data() + std::max<ssize_t>(size, 0);
         name += std::char_traits<char>::length(name) + 1)
        if (is_copied(name))
            RAIND_CHECK(copy_attribute(source, target, name));
    return {};
}

// In this order: a new owner takes set-id bits and capabilities away.
Status copy_meta(int source, int target, const struct stat& info) {
    if (::fchown(target, info.st_uid, info.st_gid) != 0 ||
        ::fchmod(target, info.st_mode & 07777U) != 0)
        return os_error("owner and mode");
    RAIND_CHECK(copy_attributes(source, target));
    const std::array<timespec, 2> times{info.st_atim, info.st_mtim};
    if (::futimens(target, times.data()) != 0)
        return os_error("times");
    return {};
}

class Copier {
  public:
    explicit Copier(int root) : root_(root) {}

    // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth.
    Status content(int source, int target, const std::string& path, int depth) {
        if (depth > kMaxDepth)
            return Error(Errc::TooLarge, "folders are nested too deeply");
        RAIND_TRY(const auto names, names_in(source));
        for (const std::string& name : names)
            RAIND_CHECK(entry(source, target, path + name, name, depth).context(name));
        return {};
    }

  private:
    // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth.
    Status entry(int source, int target, const std::string& path, const std::string& name,
                 int depth) {
        struct stat info{};
        if (::fstatat(source, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
            return os_error("stat");
        switch (info.st_mode & S_IFMT) {
            case S_IFDIR:
                return folder(source, target, path, name, depth, info);
            case S_IFREG:
                return file(source, target, path, name, info);
            case S_IFLNK:
                return link(source, target, name, info);
            case S_IFIFO:
            case S_IFSOCK:
                return special(target, name, info);
            default:
                return Error(Errc::Unsupported, "a device node");
        }
    }

    // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxDepth.
    Status folder(int source, int target, const std::string& path, const std::string& name,
                  int depth, const struct stat& info) {
        RAIND_TRY(const UniqueFd from, open_source(source, name.c_str(), O_DIRECTORY));
        if (::mkdirat(target, name.c_str(), 0700) != 0)
            return os_error("make folder");
        RAIND_TRY(const UniqueFd to, open_at(target, name.c_str(), O_RDONLY | O_DIRECTORY));
        RAIND_CHECK(content(from.get(), to.get(), path + "/", depth + 1));
        return copy_meta(from.get(), to.get(), info);
    }

    Status file(int source, int target, const std::string& path, const std::string& name,
                const struct stat& info) {
        const auto key = std::pair(info.st_dev, info.st_ino);
        if (const auto first = files_.find(key); info.st_nlink > 1 && first != files_.end()) {
            if (::linkat(root_, first->second.c_str(), target, name.c_str(), 0) != 0)
                return os_error("hard link");
            return {};
        }
        if (info.st_nlink > 1)
            files_[key] = path;
        RAIND_TRY(const UniqueFd from, open_source(source, name.c_str(), 0));
        RAIND_TRY(const UniqueFd to,
                  open_at(target, name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600));
        RAIND_CHECK(copy_content(from.get(), to.get()));
        return copy_meta(from.get(), to.get(), info);
    }

    static Status link(int source, int target, const std::string& name, const struct stat& info) {
        std::string text(PATH_MAX, '\0');
        const ssize_t n = ::readlinkat(source, name.c_str(), text.data(), text.size());
        if (n < 0)
            return os_error("read link");
        text.resize(static_cast<std::size_t>(n));
        if (::symlinkat(text.c_str(), target, name.c_str()) != 0)
            return os_error("make link");
        return bare_meta(target, name, info);
    }

    static Status special(int target, const std::string& name, const struct stat& info) {
        if (::mknodat(target, name.c_str(), (info.st_mode & S_IFMT) | 0600U, 0) != 0)
            return os_error("make node");
        RAIND_CHECK(bare_meta(target, name, info));
        if (::fchmodat(target, name.c_str(), info.st_mode & 07777U, 0) != 0)
            return os_error("mode");
        return {};
    }

    // Of what cannot be opened.
    static Status bare_meta(int target, const std::string& name, const struct stat& info) {
        const std::array<timespec, 2> times{info.st_atim, info.st_mtim};
        if (::fchownat(target, name.c_str(), info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) != 0 ||
            ::utimensat(target, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
            return os_error("owner and times");
        return {};
    }

    int root_;
    std::map<std::pair<dev_t, ino_t>, std::string> files_;  // with several names: the first one
};

}  // namespace

Status copy_folder(int source, int target) {
    RAIND_TRY(const UniqueFd from, open_source(source, ".", O_DIRECTORY));
    RAIND_TRY(const UniqueFd to, open_at(target, ".", O_RDONLY | O_DIRECTORY));
    struct stat info{};
    if (::fstat(from.get(), &info) != 0)
        return os_error("stat");
    RAIND_CHECK(Copier(to.get()).content(from.get(), to.get(), "", 0));
    RAIND_CHECK(copy_meta(from.get(), to.get(), info));
    if (::syncfs(to.get()) != 0)
        return os_error("sync");
    return {};
}

}  // namespace raind::droplet
