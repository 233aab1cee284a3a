#include "userspace/image/entry_meta.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "userspace/image/entry_name.h"

namespace raind::image {

namespace {

constexpr std::size_t kMaxXattrNames = 64U << 10;  // XATTR_LIST_MAX, XATTR_SIZE_MAX

Status set_xattrs(int fd, const EntryMeta& meta) {
    for (const auto& [name, value] : meta.xattrs) {
        if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP)
            return os_error(fmt::format("set attribute {}", name), errno);
    }
    return {};
}

Status read_xattrs(int fd, EntryMeta& meta) {
    std::string names(kMaxXattrNames, '\0');
    const ssize_t length = ::flistxattr(fd, names.data(), names.size());
    if (length < 0)
        return errno == ENOTSUP ? Status{} : Status(os_error("list attributes", errno));
    names.resize(static_cast<std::size_t>(length));
    for (std::size_t at = 0; at < names.size();
         at += std::string_view(names.data() + at).size() + 1) {
        const std::string name(names.data() + at);
        if (!keeps_xattr(name))
            continue;
        std::string value(kMaxXattrNames, '\0');
        const ssize_t n = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
        if (n < 0)
            return os_error(fmt::format("read attribute {}", name), errno);
        value.resize(static_cast<std::size_t>(n));
        meta.xattrs.emplace_back(name, std::move(value));
    }
    return {};
}

}  // namespace

EntryMeta meta_of(const struct stat& info) {
    return {.permissions = info.st_mode & 07777U,
            .uid = info.st_uid,
            .gid = info.st_gid,
            .mtime = info.st_mtim,
            .xattrs = {}};
}

Result<EntryMeta> read_meta(int fd) {
    struct stat info{};
    if (::fstat(fd, &info) != 0)
        return os_error("look at an entry", errno);
    EntryMeta meta = meta_of(info);
    RAIND_CHECK(read_xattrs(fd, meta));
    return meta;
}

// The owner comes first: changing it clears set-id bits and file capabilities.
Status set_owner_and_mode(int fd, const EntryMeta& meta) {
    if (::fchown(fd, meta.uid, meta.gid) != 0)
        return os_error("set owner", errno);
    if (::fchmod(fd, meta.permissions) != 0)
        return os_error("set mode", errno);
    return set_xattrs(fd, meta);
}

Status set_time(int fd, const timespec& mtime) {
    const timespec times[2] = {mtime, mtime};
    if (::futimens(fd, times) != 0)
        return os_error("set time", errno);
    return {};
}

Status set_time_at(int parent, const std::string& leaf, const timespec& mtime) {
    const timespec times[2] = {mtime, mtime};
    if (::utimensat(parent, leaf.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
        return os_error("set time", errno);
    return {};
}

Status set_owner_at(int parent, const std::string& leaf, const EntryMeta& meta) {
    if (::fchownat(parent, leaf.c_str(), meta.uid, meta.gid, AT_SYMLINK_NOFOLLOW) != 0)
        return os_error("set owner", errno);
    return {};
}

}  // namespace raind::image
