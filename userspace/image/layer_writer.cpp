#include "userspace/image/layer_writer.h"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <memory>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

namespace raind::image {

namespace {

constexpr mode_t kNewFolderMode = 0755;
constexpr const char* kOpaqueXattr = "trusted.overlay.opaque";

Error failed(std::string_view what) {
    return os_error(what, errno);
}

Result<UniqueFd> open_beneath(int root, const std::string& path) {
    open_how how{};
    how.flags = O_DIRECTORY | O_RDONLY | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
    if (fd)
        return fd;
    if (errno == EXDEV)
        return Error(Errc::InvalidArgument, "a symbolic link in its path leaves the layer", EXDEV);
    if (errno == ELOOP)
        return Error(Errc::InvalidArgument, "too many symbolic links in its path", ELOOP);
    return failed("open its folder");
}

struct DirCloser {
    void operator()(DIR* dir) const { ::closedir(dir); }
};

// The depth is bounded by that of entry names.
Status remove_all(int parent, const std::string& name) {  // NOLINT(misc-no-recursion)
    if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT)
        return {};
    if (errno != EISDIR)
        return failed("replace an earlier entry");
    {
        const int fd =
            ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return failed("replace an earlier folder");
        const std::unique_ptr<DIR, DirCloser> dir(::fdopendir(fd));
        if (!dir)
            return failed("replace an earlier folder");
        while (const dirent* entry = ::readdir(dir.get())) {
            const std::string child = entry->d_name;
            if (child != "." && child != "..")
                RAIND_CHECK(remove_all(fd, child));
        }
    }
    if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0)
        return failed("replace an earlier folder");
    return {};
}

Status set_xattrs(int fd, const EntryMeta& meta) {
    for (const auto& [name, value] : meta.xattrs) {
        if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP)
            return failed(fmt::format("set attribute {}", name));
    }
    return {};
}

// The owner comes first: changing it clears set-id bits and file capabilities.
Status set_owner_and_mode(int fd, const EntryMeta& meta) {
    if (::fchown(fd, meta.uid, meta.gid) != 0)
        return failed("set owner");
    if (::fchmod(fd, meta.permissions) != 0)
        return failed("set mode");
    return set_xattrs(fd, meta);
}

Status set_time(int parent, const std::string& leaf, const timespec& mtime) {
    const timespec times[2] = {mtime, mtime};
    if (::utimensat(parent, leaf.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
        return failed("set time");
    return {};
}

}  // namespace

bool LayerWriter::is_whiteout(int parent, const std::string& leaf) const {
    struct stat info{};
    return ::fstatat(parent, leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0);
}

Status LayerWriter::make_opaque(int parent, const std::string& leaf) const {
    if (position_ == LayerPosition::Lowest)
        return {};
    const UniqueFd fd(
        ::openat(parent, leaf.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd || ::fsetxattr(fd.get(), kOpaqueXattr, "y", 1, 0) != 0)
        return failed("mark folder opaque");
    return {};
}

// One folder that an archive did not list: made with plain attributes. In the place of a whiteout
// it hides what the layers below have under this name.
Status LayerWriter::ensure_folder(int parent, const std::string& part) {
    const bool hidden = is_whiteout(parent, part);
    if (hidden && ::unlinkat(parent, part.c_str(), 0) != 0)
        return failed("replace a whiteout");
    if (::mkdirat(parent, part.c_str(), kNewFolderMode) == 0) {
        if (hidden)
            RAIND_CHECK(make_opaque(parent, part));
    } else if (errno != EEXIST) {
        return failed("make folder " + part);
    }
    return {};
}

Result<UniqueFd> LayerWriter::make_parents(const EntryName& name) {
    RAIND_TRY(UniqueFd at, open_beneath(root_, "."));
    std::string path;
    for (const std::string& part : name.parents) {
        RAIND_CHECK(ensure_folder(at.get(), part));
        path += path.empty() ? part : "/" + part;
        RAIND_TRY(at, open_beneath(root_, path));
    }
    return at;
}

Result<UniqueFd> LayerWriter::open_parent(const EntryName& name) {
    auto parent = open_beneath(root_, name.parent_path());
    if (parent || parent.error().os_error() == EXDEV || parent.error().os_error() == ELOOP)
        return parent;
    auto made = make_parents(name);
    if (!made && (made.error().os_error() == ENOTDIR || made.error().os_error() == ENOENT))
        return Error(Errc::InvalidArgument, "a part of its path is not a folder", ENOTDIR);
    return made;
}

Status LayerWriter::clear(int parent, const std::string& leaf) {
    struct stat info{};
    if (::fstatat(parent, leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? Status{} : Status(failed("look at an earlier entry"));
    return remove_all(parent, leaf);
}

Status LayerWriter::folder(const EntryName& name, const EntryMeta& meta) {
    if (name.leaf.empty()) {
        RAIND_TRY(const UniqueFd top, open_beneath(root_, "."));
        folder_times_["."] = meta.mtime;
        return set_owner_and_mode(top.get(), meta);
    }
    RAIND_TRY(const UniqueFd parent, open_parent(name));
    struct stat info{};
    const bool exists = ::fstatat(parent.get(), name.leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
    if (!exists || !S_ISDIR(info.st_mode)) {
        const bool hidden = exists && is_whiteout(parent.get(), name.leaf);
        RAIND_CHECK(clear(parent.get(), name.leaf));
        if (::mkdirat(parent.get(), name.leaf.c_str(), kNewFolderMode) != 0)
            return failed("make folder");
        if (hidden)
            RAIND_CHECK(make_opaque(parent.get(), name.leaf));
    }
    const UniqueFd fd(
        ::openat(parent.get(), name.leaf.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd)
        return failed("open folder");
    folder_times_[name.path()] = meta.mtime;
    return set_owner_and_mode(fd.get(), meta);
}

Result<UniqueFd> LayerWriter::begin_file(const EntryName& name) {
    if (name.leaf.empty())
        return Error(Errc::InvalidArgument, "the root of the layer is not a folder");
    RAIND_TRY(const UniqueFd parent, open_parent(name));
    RAIND_CHECK(clear(parent.get(), name.leaf));
    UniqueFd fd(::openat(parent.get(), name.leaf.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd)
        return failed("create file");
    return fd;
}

Status LayerWriter::finish_file(int file, const EntryMeta& meta) {
    RAIND_CHECK(set_owner_and_mode(file, meta));
    const timespec times[2] = {meta.mtime, meta.mtime};
    if (::futimens(file, times) != 0)
        return failed("set time");
    return {};
}

Status LayerWriter::symlink(const EntryName& name, const std::string& target,
                            const EntryMeta& meta) {
    if (name.leaf.empty())
        return Error(Errc::InvalidArgument, "the root of the layer is not a folder");
    RAIND_TRY(const UniqueFd parent, open_parent(name));
    RAIND_CHECK(clear(parent.get(), name.leaf));
    if (::symlinkat(target.c_str(), parent.get(), name.leaf.c_str()) != 0)
        return failed("create symbolic link");
    if (::fchownat(parent.get(), name.leaf.c_str(), meta.uid, meta.gid, AT_SYMLINK_NOFOLLOW) != 0)
        return failed("set owner");
    return set_time(parent.get(), name.leaf, meta.mtime);
}

Status LayerWriter::hard_link(const EntryName& name, const EntryName& target) {
    if (name.leaf.empty() || target.leaf.empty())
        return Error(Errc::InvalidArgument, "a hard link cannot be or name the root of the layer");
    const auto from = open_beneath(root_, target.parent_path());
    struct stat info{};
    if (!from && from.error().os_error() != ENOENT && from.error().os_error() != ENOTDIR)
        return Error(from.error()).context("hard link to " + target.path());
    if (!from || ::fstatat(from->get(), target.leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        return Error(Errc::InvalidArgument,
                     "hard link to " + target.path() + ", which is not in the same layer");
    if (S_ISDIR(info.st_mode) || is_whiteout(from->get(), target.leaf))
        return Error(Errc::InvalidArgument, "hard link to " + target.path() + ", which is no file");
    if (target.path() == name.path())
        return {};
    RAIND_TRY(const UniqueFd parent, open_parent(name));
    RAIND_CHECK(clear(parent.get(), name.leaf));
    if (::linkat(from->get(), target.leaf.c_str(), parent.get(), name.leaf.c_str(), 0) != 0)
        return failed("create hard link to " + target.path());
    return {};
}

Status LayerWriter::fifo(const EntryName& name, const EntryMeta& meta) {
    if (name.leaf.empty())
        return Error(Errc::InvalidArgument, "the root of the layer is not a folder");
    RAIND_TRY(const UniqueFd parent, open_parent(name));
    RAIND_CHECK(clear(parent.get(), name.leaf));
    if (::mknodat(parent.get(), name.leaf.c_str(), S_IFIFO | 0600, 0) != 0)
        return failed("create fifo");
    if (::fchownat(parent.get(), name.leaf.c_str(), meta.uid, meta.gid, AT_SYMLINK_NOFOLLOW) != 0)
        return failed("set owner");
    if (::fchmodat(parent.get(), name.leaf.c_str(), meta.permissions, 0) != 0)
        return failed("set mode");
    return set_time(parent.get(), name.leaf, meta.mtime);
}

// A whiteout speaks of the layers below only: what this layer itself puts under the name stays, and
// a folder of it then starts empty.
Status LayerWriter::whiteout(const EntryName& name, const Whiteout& whiteout) {
    if (position_ == LayerPosition::Lowest)
        return {};
    RAIND_TRY(const UniqueFd parent, open_parent(name));
    if (whiteout.kind == WhiteoutKind::Opaque)
        return make_opaque(parent.get(), ".");
    struct stat info{};
    if (::fstatat(parent.get(), whiteout.target.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISDIR(info.st_mode) ? make_opaque(parent.get(), whiteout.target) : Status{};
    if (::mknodat(parent.get(), whiteout.target.c_str(), S_IFCHR, makedev(0, 0)) != 0)
        return failed("create whiteout");
    return {};
}

Status LayerWriter::finish() {
    for (const auto& [path, mtime] : folder_times_) {
        // A later entry may have replaced the folder; its time is then nobody's.
        const auto fd = open_beneath(root_, path);
        if (!fd)
            continue;
        const timespec times[2] = {mtime, mtime};
        if (::futimens(fd->get(), times) != 0)
            return failed("set time of folder");
    }
    return {};
}

}  // namespace raind::image
