#include "droplet/rootfs.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "droplet/copy_folder.h"
#include "droplet/host_mounts.h"
#include "droplet/syscalls.h"

namespace raind::droplet {

namespace {

constexpr std::uint64_t kSlave = 1U << 19;  // MS_SLAVE
constexpr int kDetach = 2;                  // MNT_DETACH

bool is_cgroup(const std::string& type) {
    return type == "cgroup" || type == "cgroup2";
}

bool below(const std::string& path, const std::string& folder) {
    return path == folder || path.starts_with(folder + "/");
}

// Links below these two are never legitimate.
Links links_for(const std::string& path) {
    return below(path, "/proc") || below(path, "/sys") ? Links::Refuse : Links::Follow;
}

std::string octal(mode_t mode) {
    char text[16];
    std::snprintf(text, sizeof text, "%o", mode & 07777U);
    return text;
}

// Filesystem data with the defaults that the specification names.
std::vector<std::string> data_for(const Mount& entry, int target) {
    std::vector<std::string> data = entry.options.data;
    if (entry.type == "devpts") {
        if (!entry.options.has_data("ptmxmode"))
            data.emplace_back("ptmxmode=0666");
        if (!entry.options.has_data("mode"))
            data.emplace_back("mode=0620");
    }
    struct stat info{};
    if (entry.type == "tmpfs" && !entry.options.has_data("mode") && ::fstat(target, &info) == 0)
        data.push_back("mode=" + octal(info.st_mode));
    if (is_cgroup(entry.type))
        data.clear();
    return data;
}

std::uint64_t attributes_for(const MountOptions& options) {
    return options.set;
}

Status fill(const MountOptions& options, int source, int mount) {
    RAIND_CHECK(copy_folder(source, mount));
    constexpr std::uint64_t kReadOnly = MOUNT_ATTR_RDONLY;
    if (((options.set | options.recursive_set) & kReadOnly) == 0)
        return {};
    return droplet::mount_setattr(mount, {.set = kReadOnly, .recursive = true});
}

// The magic number of a file system (statfs(2)).
bool is_on(int fd, long type) {
    struct statfs info{};
    return ::fstatfs(fd, &info) == 0 && info.f_type == type;
}

// Of the mount that the file is on; 0: unknown.
std::uint64_t mount_of(int fd) {
    struct statx info{};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) != 0 ||
        (info.stx_mask & STATX_MNT_ID) == 0)
        return 0;
    return info.stx_mnt_id;
}

bool same_file(int one, int other) {
    struct stat a{};
    struct stat b{};
    return ::fstat(one, &a) == 0 && ::fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino && mount_of(one) == mount_of(other);
}

}  // namespace

Status RootSetup::build() {
    RAIND_CHECK(attach_root());
    for (std::size_t i = 0; i < spec_.mounts.size(); ++i)
        RAIND_CHECK(mount_entry(i).context("mounts[" + std::to_string(i) + "] (" +
                                           spec_.mounts[i].destination + ")"));
    if (host_dev())
        return {};
    RAIND_CHECK(make_devices());
    return make_links();
}

Status RootSetup::attach_root() {
    root_ = std::move(prepared_["root"]);
    const UniqueFd slash(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!slash)
        return os_error("/");
    // Nothing that is mounted here may reach the host.
    RAIND_CHECK(droplet::mount_setattr(slash.get(), {.propagation = kSlave, .recursive = true}));
    RAIND_CHECK(droplet::move_mount(root_.get(), slash.get()).context("root"));
    return {};
}

bool RootSetup::host_dev() const {
    return std::ranges::any_of(spec_.mounts, [](const Mount& mount) {
        return mount.destination == "/dev" && mount.options.bind;
    });
}

Status RootSetup::check_target(const Mount& entry, int target) const {
    const auto inside = [](std::string_view folder) {
        return Error(Errc::Forbidden, "nothing may be mounted inside of " + std::string(folder));
    };
    // A link of the image may have led there: only what validation let through may be inside.
    if (is_on(target, PROC_SUPER_MAGIC) && !below(entry.destination, "/proc"))
        return inside("/proc");
    if (is_on(target, SYSFS_MAGIC) && !below(entry.destination, "/sys"))
        return inside("/sys");
    if (!entry.options.bind || entry.options.remount)
        return {};
    if (same_file(target, root_.get()))
        return Error(Errc::Forbidden, "nothing may be mounted on the root");
    const auto dev = open_in_root(root_.get(), "/dev", O_PATH, Links::Refuse);
    if (dev && mount_of(dev->get()) != mount_of(root_.get()) &&
        mount_of(dev->get()) == mount_of(target) && !below(entry.destination, "/dev"))
        return inside("/dev");
    return {};
}

namespace {

// Kernels differ in what they say, and none says it clearly.
Status check_kind(TargetKind kind, int target) {
    struct stat there{};
    if (::fstat(target, &there) != 0)
        return os_error("mount point");
    const bool wanted = kind == TargetKind::Folder;
    if (S_ISDIR(there.st_mode) == wanted)
        return {};
    return Error(Errc::InvalidArgument, wanted ? "Not a directory" : "Is a directory");
}

}  // namespace

Status RootSetup::mount_entry(std::size_t index) {
    const Mount& entry = spec_.mounts[index];
    const MountOptions& options = entry.options;
    const bool no_link =
        entry.type == "proc" || entry.type == "sysfs" || entry.destination == "/dev";
    if (no_link) {
        // A link in the place of /proc, /sys or /dev is an attack, not an image.
        const auto plain = open_in_root(root_.get(), entry.destination, O_PATH, Links::Refuse);
        if (!plain && plain.error().os_error() == ELOOP)
            return Error(Errc::Forbidden, "a symbolic link is in the place of the mount point");
    }
    UniqueFd mount;
    TargetKind kind = TargetKind::Folder;
    if (options.bind && !options.remount) {
        mount = std::move(prepared_["mount:" + std::to_string(index)]);
        struct stat info{};
        if (::fstat(mount.get(), &info) != 0)
            return os_error("source");
        kind = S_ISDIR(info.st_mode) ? TargetKind::Folder : TargetKind::File;
    }
    RAIND_TRY(const UniqueFd target, ensure_target(root_.get(), entry.destination, kind));
    RAIND_CHECK(check_target(entry, target.get()));
    if (mount)
        RAIND_CHECK(check_kind(kind, target.get()));
    if (options.remount)
        return droplet::mount_setattr(target.get(), {.set = options.set, .clear = options.clear});
    if (!mount) {
        RAIND_TRY(mount, make_mount(entry, target.get()));
    }
    if (options.fill)
        RAIND_CHECK(fill(options, target.get(), mount.get()).context("content of the image"));
    RAIND_CHECK(droplet::move_mount(mount.get(), target.get()));
    if (options.bind)
        return {};
    if (options.recursive_set != 0 || options.recursive_clear != 0)
        RAIND_CHECK(droplet::mount_setattr(
            mount.get(),
            {.set = options.recursive_set, .clear = options.recursive_clear, .recursive = true}));
    if (options.propagation != 0)
        RAIND_CHECK(droplet::mount_setattr(
            mount.get(),
            {.propagation = options.propagation, .recursive = options.recursive_propagation}));
    return {};
}

Result<UniqueFd> RootSetup::make_mount(const Mount& entry, int target) {
    FilesystemRequest request;
    request.type = is_cgroup(entry.type) ? "cgroup2" : entry.type;
    request.source = entry.source.empty() ? entry.type : entry.source;
    request.data = data_for(entry, target);
    request.attributes = attributes_for(entry.options);
    auto mount = new_filesystem(request);
    if (mount || mount.error().os_error() != EPERM || !in_user_namespace())
        return mount;
    // The network or IPC namespace belongs to somebody else: its view can only be bound.
    const char* view = entry.type == "sysfs"    ? "/sys"
                       : entry.type == "mqueue" ? "/dev/mqueue"
                                                : nullptr;
    if (view == nullptr)
        return mount;
    RAIND_TRY(UniqueFd bound, open_tree(AT_FDCWD, view, OPEN_TREE_CLONE | AT_RECURSIVE));
    RAIND_CHECK(droplet::mount_setattr(bound.get(), {.set = entry.options.set, .recursive = true}));
    return bound;
}

Status RootSetup::make_devices() {
    for (const DefaultDevice& known : default_devices()) {
        Device device;
        device.path = known.path;
        device.major = known.major;
        device.minor = known.minor;
        RAIND_CHECK(make_device(device));
    }
    for (std::size_t i = 0; i < spec_.devices.size(); ++i)
        RAIND_CHECK(
            make_device(spec_.devices[i]).context("linux.devices[" + std::to_string(i) + "]"));
    return {};
}

Status RootSetup::make_device(const Device& device) {
    const auto slash = device.path.rfind('/');
    const std::string folder = device.path.substr(0, slash);
    const std::string name = device.path.substr(slash + 1);
    RAIND_TRY(const UniqueFd parent, ensure_target(root_.get(), folder, TargetKind::Folder));
    const mode_t type = device.type == 'p' ? S_IFIFO : device.type == 'b' ? S_IFBLK : S_IFCHR;
    const dev_t number = device.type == 'p' ? 0 : makedev(device.major, device.minor);
    struct stat info{};
    if (::fstatat(parent.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
        if ((info.st_mode & S_IFMT) == type && (type == S_IFIFO || info.st_rdev == number))
            return {};
        return Error(Errc::Conflict, device.path + ": another file is in its place");
    }
    if (device.type != 'p' && in_user_namespace()) {
        const UniqueFd point(::openat(parent.get(), name.c_str(),
                                      O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY | O_CLOEXEC, 0600));
        if (!point)
            return os_error(device.path);
        const UniqueFd target(
            ::openat(parent.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        const auto prepared = prepared_.find("device:" + device.path);
        if (!target || prepared == prepared_.end())
            return os_error(device.path);
        return droplet::move_mount(prepared->second.get(), target.get()).context(device.path);
    }
    if (::mknodat(parent.get(), name.c_str(), type | (device.mode & 07777U), number) != 0 ||
        ::fchmodat(parent.get(), name.c_str(), device.mode & 07777U, 0) != 0 ||
        ::fchownat(parent.get(), name.c_str(), device.uid, device.gid, AT_SYMLINK_NOFOLLOW) != 0)
        return os_error(device.path);
    return {};
}

Status RootSetup::make_links() {
    constexpr std::array<std::pair<const char*, const char*>, 5> kLinks{{
        {"fd", "/proc/self/fd"},
        {"stdin", "/proc/self/fd/0"},
        {"stdout", "/proc/self/fd/1"},
        {"stderr", "/proc/self/fd/2"},
        {"ptmx", "pts/ptmx"},
    }};
    RAIND_TRY(const UniqueFd dev, ensure_target(root_.get(), "/dev", TargetKind::Folder));
    for (const auto& [name, target] : kLinks)
        if (::symlinkat(target, dev.get(), name) != 0 && errno != EEXIST)
            return os_error(std::string("/dev/") + name);
    if (::access("/proc/kcore", F_OK) == 0 && ::symlinkat("/proc/kcore", dev.get(), "core") != 0 &&
        errno != EEXIST)
        return os_error("/dev/core");
    return {};
}

Status RootSetup::pivot() {
    if (::fchdir(root_.get()) != 0)
        return os_error("root");
    if (::syscall(SYS_pivot_root, ".", ".") != 0)
        return os_error("pivot_root");
    // The old root now lies on top of the new one.
    if (::syscall(SYS_umount2, ".", kDetach) != 0)
        return os_error("umount of the old root");
    if (::chdir("/") != 0)
        return os_error("/");
    root_.reset(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root_)
        return os_error("/");
    return {};
}

Status RootSetup::mask(const std::string& path) {
    auto target = open_in_root(root_.get(), path, O_PATH, links_for(path));
    if (!target) {
        const int err = target.error().os_error();
        return err == ENOENT || err == ENOTDIR ? Status{} : Status(std::move(target.error()));
    }
    struct stat info{};
    if (::fstat(target->get(), &info) != 0)
        return os_error(path);
    const bool folder = S_ISDIR(info.st_mode);
    UniqueFd& source = folder ? empty_folder_ : prepared_["null"];
    const bool first = folder ? !empty_folder_.valid() : !null_attached_;
    if (folder && first) {
        FilesystemRequest request;
        request.type = "tmpfs";
        request.source = "masked";
        request.data = {"mode=0555", "size=0", "nr_inodes=1"};
        request.attributes =
            MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
        RAIND_TRY(source, new_filesystem(request));
    }
    if (first) {
        null_attached_ = null_attached_ || !folder;
        return droplet::move_mount(source.get(), target->get()).context(path);
    }
    RAIND_TRY(const UniqueFd copy, open_tree(source.get(), "", OPEN_TREE_CLONE | AT_EMPTY_PATH));
    return droplet::move_mount(copy.get(), target->get()).context(path);
}

Status RootSetup::make_readonly(const std::string& path) {
    auto target = open_in_root(root_.get(), path, O_PATH, links_for(path));
    if (!target) {
        const int err = target.error().os_error();
        return err == ENOENT || err == ENOTDIR ? Status{} : Status(std::move(target.error()));
    }
    RAIND_TRY(const UniqueFd copy,
              open_tree(target->get(), "", OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE));
    RAIND_CHECK(droplet::mount_setattr(copy.get(), {.set = MOUNT_ATTR_RDONLY, .recursive = true}));
    return droplet::move_mount(copy.get(), target->get()).context(path);
}

Status RootSetup::seal() {
    for (const std::string& path : spec_.readonly_paths)
        RAIND_CHECK(make_readonly(path).context("linux.readonlyPaths"));
    for (const std::string& path : spec_.masked_paths)
        RAIND_CHECK(mask(path).context("linux.maskedPaths"));
    if (spec_.root_readonly)
        RAIND_CHECK(droplet::mount_setattr(root_.get(), {.set = MOUNT_ATTR_RDONLY})
                        .context("root.readonly"));
    return droplet::mount_setattr(root_.get(), {.propagation = spec_.root_propagation,
                                                .recursive = spec_.root_propagation_recursive})
        .context("linux.rootfsPropagation");
}

}  // namespace raind::droplet
