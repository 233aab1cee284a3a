#include "droplet/host_mounts.h"

#include <csignal>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "droplet/syscalls.h"
#include "userspace/common/fs.h"

namespace raind::droplet {

namespace {

constexpr std::uint64_t kPrivate = 1U << 18;  // MS_PRIVATE
constexpr std::uint64_t kSlave = 1U << 19;    // MS_SLAVE

Result<UniqueFd> clone_mount(const std::string& path, bool recursive) {
    return open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | (recursive ? AT_RECURSIVE : 0U));
}

// The host's node, checked to be the device that is meant.
Result<UniqueFd> device_mount(const std::string& path, char type, unsigned major, unsigned minor) {
    struct stat info{};
    const UniqueFd node(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!node || ::fstat(node.get(), &info) != 0)
        return os_error("device " + path);
    const mode_t wanted = type == 'b' ? S_IFBLK : S_IFCHR;
    if ((info.st_mode & S_IFMT) != wanted || info.st_rdev != makedev(major, minor))
        return Error(Errc::InvalidArgument, "device " + path + ": the host's node is another one");
    return open_tree(node.get(), "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
}

std::string map_text(const std::vector<IdMapping>& mappings) {
    std::string text;
    for (const IdMapping& entry : mappings)
        text += std::to_string(entry.container) + " " + std::to_string(entry.host) + " " +
                std::to_string(entry.size) + "\n";
    return text;
}

// A user namespace that exists only to carry mappings of a mount.
Result<UniqueFd> mapping_namespace(const std::vector<IdMapping>& uids,
                                   const std::vector<IdMapping>& gids) {
    RAIND_TRY(const CloneResult child, clone_process({CLONE_NEWUSER, -1}));
    if (child.pid == 0) {
        while (true)
            ::pause();
    }
    auto written = write_id_maps(child.pid, uids, gids);
    const std::string path = "/proc/" + std::to_string(child.pid) + "/ns/user";
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const int err = errno;
    static_cast<void>(pidfd_signal(child.pidfd.get(), SIGKILL));
    ::waitpid(child.pid, nullptr, 0);
    RAIND_CHECK(std::move(written));
    if (!fd)
        return os_error(path, err);
    return fd;
}

Status set_idmap(int mount, const Mount& entry, const HostMountRequest& request) {
    UniqueFd own;
    int userns = request.userns;
    if (!entry.uid_mappings.empty()) {
        RAIND_TRY(own, mapping_namespace(entry.uid_mappings, entry.gid_mappings));
        userns = own.get();
    }
    if (userns < 0)
        return Error(Errc::InvalidArgument, "idmap: there is no user namespace");
    MountChange change;
    change.set = MOUNT_ATTR_IDMAP;
    change.userns = userns;
    change.recursive = entry.options.recursive_idmap;
    auto done = droplet::mount_setattr(mount, change);
    if (!done && done.error().os_error() == EINVAL)
        return Error(
            Errc::Unsupported,
            entry.source + ": the file system of the source cannot be id-mapped by this kernel",
            EINVAL);
    return std::move(done).context("id-mapped mount");
}

Result<UniqueFd> clone_source(const Mount& entry, const std::string& source) {
    const unsigned flags = OPEN_TREE_CLONE | (entry.options.recursive_bind ? AT_RECURSIVE : 0U);
    if (!entry.options.no_links_source)
        return open_tree(AT_FDCWD, source.c_str(),
                         flags | (entry.options.no_follow_source ? AT_SYMLINK_NOFOLLOW : 0U));
    // Who may write above the source cannot lead us elsewhere.
    const UniqueFd slash(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!slash)
        return os_error("/");
    RAIND_TRY(const UniqueFd folder, open_in_root(slash.get(), source, O_PATH, Links::Refuse));
    return open_tree(folder.get(), "", flags | AT_EMPTY_PATH);
}

// What is filled becomes read-only when it is full.
MountOptions writable(MountOptions options) {
    options.set &= ~static_cast<std::uint64_t>(MOUNT_ATTR_RDONLY);
    options.recursive_set &= ~static_cast<std::uint64_t>(MOUNT_ATTR_RDONLY);
    return options;
}

Result<UniqueFd> bind_mount(const Mount& entry, const HostMountRequest& request) {
    const std::string source =
        entry.source[0] == '/' ? entry.source : request.bundle + "/" + entry.source;
    RAIND_TRY(UniqueFd mount, clone_source(entry, source));
    // A clone is in the peer group of its source: later mounts of the host must not be answered by
    // ours, whatever is asked for afterwards.
    RAIND_CHECK(droplet::mount_setattr(mount.get(), {.propagation = kSlave, .recursive = true}));
    const MountOptions options = entry.options.fill ? writable(entry.options) : entry.options;
    if (options.set != 0 || options.clear != 0)
        RAIND_CHECK(
            droplet::mount_setattr(mount.get(), {.set = options.set, .clear = options.clear}));
    if (options.recursive_set != 0 || options.recursive_clear != 0)
        RAIND_CHECK(droplet::mount_setattr(
            mount.get(),
            {.set = options.recursive_set, .clear = options.recursive_clear, .recursive = true}));
    if (options.propagation != 0)
        RAIND_CHECK(droplet::mount_setattr(
            mount.get(),
            {.propagation = options.propagation, .recursive = options.recursive_propagation}));
    if (options.idmap || !entry.uid_mappings.empty())
        RAIND_CHECK(set_idmap(mount.get(), entry, request));
    return mount;
}

Result<UniqueFd> root_mount(const HostMountRequest& request) {
    const Spec& spec = request.spec;
    if (spec.image)
        return build_layers(*spec.image, request);
    auto mount = clone_mount(spec.root_path, true);
    if (!mount)
        return std::move(mount.error()).context("root.path");
    // pivot_root takes no shared mount.
    RAIND_CHECK(droplet::mount_setattr(mount->get(), {.propagation = kPrivate, .recursive = true}));
    return mount;
}

Status add_devices(const HostMountRequest& request, std::vector<NamedFd>& out) {
    for (const DefaultDevice& device : default_devices()) {
        RAIND_TRY(UniqueFd fd, device_mount(device.path, 'c', device.major, device.minor));
        out.push_back({std::string("device:") + device.path, std::move(fd)});
    }
    for (std::size_t i = 0; i < request.spec.devices.size(); ++i) {
        const Device& device = request.spec.devices[i];
        if (device.type == 'p')
            continue;
        auto fd = device_mount(device.path, device.type, device.major, device.minor);
        if (!fd)
            return std::move(fd.error()).context("linux.devices[" + std::to_string(i) + "]");
        out.push_back({"device:" + device.path, std::move(*fd)});
    }
    return {};
}

}  // namespace

const std::vector<DefaultDevice>& default_devices() {
    static const std::vector<DefaultDevice> devices{{"/dev/null", 1, 3},    {"/dev/zero", 1, 5},
                                                    {"/dev/full", 1, 7},    {"/dev/random", 1, 8},
                                                    {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
    return devices;
}

Status write_id_maps(int pid, const std::vector<IdMapping>& uids,
                     const std::vector<IdMapping>& gids) {
    const std::string folder = "/proc/" + std::to_string(pid);
    RAIND_CHECK(write_existing(folder + "/uid_map", map_text(uids)).context("linux.uidMappings"));
    return write_existing(folder + "/gid_map", map_text(gids)).context("linux.gidMappings");
}

Result<std::vector<NamedFd>> prepare_host_mounts(const HostMountRequest& request) {
    std::vector<NamedFd> out;
    RAIND_TRY(UniqueFd root, root_mount(request));
    out.push_back({"root", std::move(root)});
    RAIND_TRY(UniqueFd null, device_mount("/dev/null", 'c', 1, 3));
    out.push_back({"null", std::move(null)});
    for (std::size_t i = 0; i < request.spec.mounts.size(); ++i) {
        const Mount& entry = request.spec.mounts[i];
        if (!entry.options.bind || entry.options.remount)
            continue;
        auto mount = bind_mount(entry, request);
        if (!mount)
            return std::move(mount.error())
                .context("mounts[" + std::to_string(i) + "] (" + entry.destination + ")");
        out.push_back({"mount:" + std::to_string(i), std::move(*mount)});
    }
    // Only the host's root can make device nodes: in a user namespace the host's are bound.
    if (request.userns >= 0)
        RAIND_CHECK(add_devices(request, out));
    return out;
}

}  // namespace raind::droplet
