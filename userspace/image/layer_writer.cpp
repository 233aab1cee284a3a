#include "userspace/image/layer_writer.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "userspace/common/folder_names.h"
#include "userspace/common/fs.h"

namespace raind::image {

namespace {

constexpr mode_t kNewFolderMode = 0755;

Error failed(std::string_view what) {
    return os_error(what, errno);
}

Result<UniqueFd> open_folder(int root, const std::string& path) {
    open_how how{};
    how.flags = O_DIRECTORY | O_RDONLY | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
    if (!fd)
        return failed("open its folder");
    return fd;
}

Result<UniqueFd> create_file(int parent, const std::string& leaf) {
    UniqueFd fd(
        ::openat(parent, leaf.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd)
        return failed("create file");
    return fd;
}

Status make_link(int parent, const std::string& leaf, const std::string& target,
                 const EntryMeta& meta) {
    if (::symlinkat(target.c_str(), parent, leaf.c_str()) != 0)
        return failed("create symbolic link");
    RAIND_CHECK(set_owner_at(parent, leaf, meta));
    return set_time_at(parent, leaf, meta.mtime);
}

Status make_fifo(int parent, const std::string& leaf, const EntryMeta& meta) {
    if (::mknodat(parent, leaf.c_str(), S_IFIFO | 0600, 0) != 0)
        return failed("create fifo");
    RAIND_CHECK(set_owner_at(parent, leaf, meta));
    if (::fchmodat(parent, leaf.c_str(), meta.permissions, 0) != 0)
        return failed("set mode");
    return set_time_at(parent, leaf, meta.mtime);
}

Status copy_file(const MergedEntry& from, int parent, const std::string& leaf) {
    const UniqueFd source(
        ::openat(from.layer, from.path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!source)
        return failed("open a file of a layer below");
    RAIND_TRY(const EntryMeta meta, read_meta(source.get()));
    RAIND_TRY(const UniqueFd file, create_file(parent, leaf));
    RAIND_CHECK(copy_content(source.get(), file.get()));
    return LayerWriter::finish_file(file.get(), meta);
}

Status copy_link(const MergedEntry& from, int parent, const std::string& leaf) {
    RAIND_TRY(const std::string target, read_link(from));
    return make_link(parent, leaf, target, meta_of(from.info));
}

// What was to be hidden below an opaque folder is hidden already; see hide().
Status remove_whiteouts(int folder) {  // NOLINT(misc-no-recursion): as remove_all
    RAIND_TRY(const auto names, names_in(folder));
    for (const std::string& name : names) {
        struct stat info{};
        if (::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
            return failed("look at an earlier entry");
        if (is_whiteout(info) && ::unlinkat(folder, name.c_str(), 0) != 0)
            return failed("remove a whiteout");
        if (!S_ISDIR(info.st_mode))
            continue;
        RAIND_TRY(const UniqueFd inner, open_folder(folder, name));
        RAIND_CHECK(remove_whiteouts(inner.get()));
    }
    return {};
}

// The depth is bounded by that of entry names.
Status remove_all(int parent, const std::string& name) {  // NOLINT(misc-no-recursion)
    if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT)
        return {};
    if (errno != EISDIR)
        return failed("replace an earlier entry");
    {
        const UniqueFd fd(
            ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!fd)
            return failed("replace an earlier folder");
        RAIND_TRY(const auto children, names_in(fd.get()));
        for (const std::string& child : children)
            RAIND_CHECK(remove_all(fd.get(), child));
    }
    if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0)
        return failed("replace an earlier folder");
    return {};
}

Status no_root(const EntryName& name) {
    if (name.leaf.empty())
        return Error(Errc::InvalidArgument, "the root of the layer is not a folder");
    return {};
}

bool whiteout_at(int parent, const std::string& leaf) {
    struct stat info{};
    return ::fstatat(parent, leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && is_whiteout(info);
}

std::vector<int> with_own(int root, std::vector<int> below) {
    below.insert(below.begin(), root);
    return below;
}

}  // namespace

LayerWriter::LayerWriter(int root, std::vector<int> below, const ExtractLimits& limits)
    : root_(root), below_(std::move(below)), view_(with_own(root, below_), limits) {
}

bool LayerWriter::Place::is_root() const {
    return path == ".";
}

Status LayerWriter::make_opaque(int parent, const std::string& leaf) const {
    if (below_.empty())
        return {};
    RAIND_TRY(const UniqueFd fd, open_folder(parent, leaf));
    if (::fgetxattr(fd.get(), kOpaqueXattr, nullptr, 0) > 0)
        return {};
    if (::fsetxattr(fd.get(), kOpaqueXattr, "y", 1, 0) != 0)
        return failed("mark folder opaque");
    return remove_whiteouts(fd.get());
}

Status LayerWriter::inherit_meta(int fd, const MergedFolder& folder) {
    RAIND_TRY(const UniqueFd below, open_folder(folder.layers.front(), folder.path));
    RAIND_TRY(const EntryMeta meta, read_meta(below.get()));
    folder_times_[folder.path] = meta.mtime;
    return set_owner_and_mode(fd, meta);
}

// One folder that an archive did not list: like the one below that it merges with, or made with
// plain attributes. In the place of a whiteout it hides what the layers below have under this name.
Status LayerWriter::ensure_folder(int parent, const std::string& part, const MergedFolder& folder) {
    if (!folder.layers.empty() && folder.layers.front() == root_)
        return {};
    const bool hidden = whiteout_at(parent, part);
    if (hidden && ::unlinkat(parent, part.c_str(), 0) != 0)
        return failed("replace a whiteout");
    if (::mkdirat(parent, part.c_str(), kNewFolderMode) != 0)
        return failed("make folder " + part);
    if (hidden)
        return make_opaque(parent, part);
    if (folder.layers.empty())
        return {};
    RAIND_TRY(const UniqueFd fd, open_folder(parent, part));
    return inherit_meta(fd.get(), folder);
}

Result<LayerWriter::Place> LayerWriter::make_folders(const std::vector<MergedFolder>& way) {
    Place at;
    at.path = ".";
    RAIND_TRY(at.fd, open_folder(root_, "."));
    for (std::size_t i = 1; i < way.size(); ++i) {
        const auto slash = way[i].path.rfind('/');
        const std::string part =
            slash == std::string::npos ? way[i].path : way[i].path.substr(slash + 1);
        RAIND_CHECK(ensure_folder(at.fd.get(), part, way[i]));
        RAIND_TRY(at.fd, open_folder(at.fd.get(), part));
        at.path = way[i].path;
    }
    return at;
}

Result<LayerWriter::Place> LayerWriter::open_parent(const EntryName& name) {
    // Nearly always the folder is there already, and no link is on the way.
    if (auto parent = open_folder(root_, name.parent_path()))
        return Place{.fd = std::move(*parent), .path = name.parent_path()};
    RAIND_TRY(const auto way, view_.resolve(name.parents));
    return make_folders(way);
}

Status LayerWriter::clear(int parent, const std::string& leaf) {
    struct stat info{};
    if (::fstatat(parent, leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
        return remove_all(parent, leaf);
    if (errno != ENOENT)
        return failed("look at an earlier entry");
    return {};
}

Status LayerWriter::folder(const EntryName& name, const EntryMeta& meta) {
    if (name.leaf.empty()) {
        RAIND_TRY(const UniqueFd top, open_folder(root_, "."));
        folder_times_["."] = meta.mtime;
        return set_owner_and_mode(top.get(), meta);
    }
    RAIND_TRY(const Place parent, open_parent(name));
    const int at = parent.fd.get();
    struct stat info{};
    const bool exists = ::fstatat(at, name.leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
    if (!exists || !S_ISDIR(info.st_mode)) {
        RAIND_CHECK(clear(at, name.leaf));
        if (::mkdirat(at, name.leaf.c_str(), kNewFolderMode) != 0)
            return failed("make folder");
        // A whiteout or a file that this layer had here hid what the layers below have.
        if (exists)
            RAIND_CHECK(make_opaque(at, name.leaf));
    }
    RAIND_TRY(const UniqueFd fd, open_folder(at, name.leaf));
    folder_times_[path_in(parent.path, name.leaf)] = meta.mtime;
    return set_owner_and_mode(fd.get(), meta);
}

Result<UniqueFd> LayerWriter::begin_file(const EntryName& name) {
    RAIND_CHECK(no_root(name));
    RAIND_TRY(const Place parent, open_parent(name));
    RAIND_CHECK(clear(parent.fd.get(), name.leaf));
    return create_file(parent.fd.get(), name.leaf);
}

Status LayerWriter::finish_file(int file, const EntryMeta& meta) {
    RAIND_CHECK(set_owner_and_mode(file, meta));
    return set_time(file, meta.mtime);
}

Status LayerWriter::symlink(const EntryName& name, const std::string& target,
                            const EntryMeta& meta) {
    RAIND_CHECK(no_root(name));
    RAIND_TRY(const Place parent, open_parent(name));
    RAIND_CHECK(clear(parent.fd.get(), name.leaf));
    return make_link(parent.fd.get(), name.leaf, target, meta);
}

Status LayerWriter::fifo(const EntryName& name, const EntryMeta& meta) {
    RAIND_CHECK(no_root(name));
    RAIND_TRY(const Place parent, open_parent(name));
    RAIND_CHECK(clear(parent.fd.get(), name.leaf));
    return make_fifo(parent.fd.get(), name.leaf, meta);
}

Status LayerWriter::copy_up(const MergedEntry& from, const Place& to, const std::string& leaf) {
    switch (from.info.st_mode & S_IFMT) {
        case S_IFREG:
            return copy_file(from, to.fd.get(), leaf);
        case S_IFLNK:
            return copy_link(from, to.fd.get(), leaf);
        case S_IFIFO:
            return make_fifo(to.fd.get(), leaf, meta_of(from.info));
        default:
            return Error(Errc::InvalidArgument, "it is no file");
    }
}

Status LayerWriter::hard_link(const EntryName& name, const EntryName& target, const Room& room) {
    if (name.leaf.empty() || target.leaf.empty())
        return Error(Errc::InvalidArgument, "a hard link cannot be or name the root of the layer");
    const auto what = "hard link to " + target.path();
    auto found_way = view_.resolve(target.parents).context(what);
    RAIND_TRY(const auto way, std::move(found_way));
    auto found = view_.find(way.back(), target.leaf).context(what);
    RAIND_TRY(const auto from, std::move(found));
    if (!from)
        return Error(Errc::InvalidArgument,
                     what + ", which neither this layer nor one below it has");
    if (S_ISDIR(from->info.st_mode))
        return Error(Errc::InvalidArgument, what + ", which is a folder");
    RAIND_TRY(const Place source, make_folders(way));
    if (from->layer != root_) {
        constexpr std::uint64_t kBlock = 512;  // stat(2): st_blocks
        RAIND_CHECK(room(static_cast<std::uint64_t>(from->info.st_blocks) * kBlock).context(what));
        RAIND_CHECK(copy_up(*from, source, target.leaf).context(what));
    }
    RAIND_TRY(const Place parent, open_parent(name));
    if (path_in(parent.path, name.leaf) == from->path)
        return {};
    RAIND_CHECK(clear(parent.fd.get(), name.leaf));
    if (::linkat(source.fd.get(), target.leaf.c_str(), parent.fd.get(), name.leaf.c_str(), 0) != 0)
        return Error(failed("create " + what));
    return {};
}

// Only what the layers below show is hidden: in a folder that merges with none overlayfs does not
// look for whiteouts, and a process would see them.
Status LayerWriter::hide(int at, const MergedFolder& below, const std::string& leaf) const {
    RAIND_TRY(const auto shown, view_.find(below, leaf));
    if (!shown)
        return {};
    struct stat info{};
    if (::fstatat(at, leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISDIR(info.st_mode) ? make_opaque(at, leaf) : Status{};
    if (::mknodat(at, leaf.c_str(), S_IFCHR, makedev(0, 0)) != 0)
        return failed("create whiteout");
    return {};
}

// The roots of layers always merge: overlayfs does not ask whether one is opaque.
Status LayerWriter::hide_everything() const {
    for (const int layer : below_) {
        RAIND_TRY(const auto names, names_in(layer));
        for (const std::string& name : names)
            RAIND_CHECK(hide(root_, {.path = ".", .layers = below_}, name));
    }
    return {};
}

// A whiteout speaks of the layers below only: what this layer itself puts under the name stays, and
// a folder of it then starts empty.
Status LayerWriter::whiteout(const EntryName& name, const Whiteout& whiteout) {
    if (below_.empty())
        return {};
    RAIND_TRY(const auto way, view_.resolve(name.parents));
    RAIND_TRY(const Place parent, make_folders(way));
    MergedFolder below = way.back();
    std::erase(below.layers, root_);
    if (whiteout.kind == WhiteoutKind::Remove)
        return hide(parent.fd.get(), below, whiteout.target);
    if (parent.is_root())
        return hide_everything();
    return below.layers.empty() ? Status{} : make_opaque(parent.fd.get(), ".");
}

Status LayerWriter::finish() {
    if (!below_.empty() && !folder_times_.contains("."))
        RAIND_CHECK(inherit_meta(root_, {.path = ".", .layers = below_}));
    for (const auto& [path, mtime] : folder_times_) {
        // A later entry may have replaced the folder; its time is then nobody's.
        if (const auto fd = open_folder(root_, path))
            RAIND_CHECK(set_time(fd->get(), mtime));
    }
    return {};
}

}  // namespace raind::image
