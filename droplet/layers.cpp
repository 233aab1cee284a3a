// The overlay of image layers. See host_mounts.h.
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "droplet/host_mounts.h"
#include "droplet/syscalls.h"

namespace raind::droplet {

namespace {

constexpr std::uint64_t kPrivate = 1U << 18;  // MS_PRIVATE
constexpr const char* kMountPoint = "m";

std::string fd_path(const UniqueFd& fd) {
    return "/proc/self/fd/" + std::to_string(fd.get());
}

struct Parts {
    std::vector<UniqueFd> layers;  // detached, topmost first
    UniqueFd upper;
    UniqueFd work;
};

Result<UniqueFd> open_folder(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd)
        return os_error(path);
    return fd;
}

Result<UniqueFd> open_layer(const std::string& path, int userns) {
    RAIND_TRY(const UniqueFd folder, open_folder(path));
    RAIND_TRY(UniqueFd clone, open_tree(folder.get(), "", OPEN_TREE_CLONE | AT_EMPTY_PATH));
    MountChange change;
    change.set = MOUNT_ATTR_RDONLY;
    change.propagation = kPrivate;
    if (userns >= 0) {
        change.set |= MOUNT_ATTR_IDMAP;
        change.userns = userns;
    }
    RAIND_CHECK(droplet::mount_setattr(clone.get(), change)
                    .context(path + ": id-mapped mount (its file system may not support it)"));
    return clone;
}

// The upper directory is a plain one, and its root is the root of the container. While it belongs
// to the host's root it is new, and gets owner and mode of the image's root; later they are the
// container's own affair. The owner comes last: it says that all is done.
Status init_upper(const UniqueFd& upper, const std::string& top_layer, const Spec& spec) {
    struct stat own{};
    struct stat top{};
    if (::fstat(upper.get(), &own) != 0)
        return os_error("upper directory");
    if (own.st_uid != 0)
        return {};
    if (::lstat(top_layer.c_str(), &top) != 0)
        return os_error(top_layer);
    const auto mapped = [](const auto& mappings, std::uint32_t id) {
        const auto found = map_id(mappings, id);
        return found ? found : map_id(mappings, 0);
    };
    const auto uid = mapped(spec.uid_mappings, top.st_uid);
    const auto gid = mapped(spec.gid_mappings, top.st_gid);
    if (!uid || !gid)
        return {};
    if (::chmod(fd_path(upper).c_str(), top.st_mode & 07777U) != 0 ||
        ::fchownat(upper.get(), "", *uid, *gid, AT_EMPTY_PATH) != 0)
        return os_error("upper directory");
    return {};
}

// Names inside the private namespace are opened before anything is mounted over the scratch folder.
Result<Parts> open_parts(const ImageRoot& image, const HostMountRequest& request) {
    Parts parts;
    for (auto it = image.layers.rbegin(); it != image.layers.rend(); ++it) {
        RAIND_TRY(UniqueFd layer, open_layer(*it, request.userns));
        parts.layers.push_back(std::move(layer));
    }
    RAIND_TRY(parts.upper, open_folder(image.upper));
    RAIND_TRY(parts.work, open_folder(image.work));
    if (request.userns >= 0)
        RAIND_CHECK(
            init_upper(parts.upper, image.layers.back(), request.spec).context(image.upper));
    return parts;
}

// Overlay wants layers that are attached somewhere: short names on an own tmpfs.
Status attach_layers(const Parts& parts, const std::string& scratch) {
    FilesystemRequest tmpfs;
    tmpfs.type = "tmpfs";
    tmpfs.source = "raind";
    tmpfs.data = {"mode=0700", "size=1m"};
    RAIND_TRY(const UniqueFd mount, new_filesystem(tmpfs));
    RAIND_TRY(const UniqueFd target, open_folder(scratch));
    RAIND_CHECK(droplet::move_mount(mount.get(), target.get()));
    if (::fchdir(mount.get()) != 0)
        return os_error(scratch);
    for (std::size_t i = 0; i < parts.layers.size(); ++i) {
        const std::string name = std::to_string(i);
        if (::mkdir(name.c_str(), 0700) != 0)
            return os_error("layer " + name);
        RAIND_TRY(const UniqueFd point, open_folder(name));
        RAIND_CHECK(droplet::move_mount(parts.layers[i].get(), point.get()));
    }
    if (::mkdir(kMountPoint, 0700) != 0)
        return os_error(kMountPoint);
    return {};
}

// lowerdir+ (6.5 and later) takes one layer a call, so that their number is not bounded by the
// length of one option.
Result<UniqueFd> mount_by_context(const Parts& parts) {
    RAIND_TRY(const UniqueFd context, fs_open("overlay"));
    for (std::size_t i = 0; i < parts.layers.size(); ++i)
        RAIND_CHECK(fs_set(context.get(), "lowerdir+", std::to_string(i)));
    RAIND_CHECK(fs_set(context.get(), "upperdir", fd_path(parts.upper)));
    RAIND_CHECK(fs_set(context.get(), "workdir", fd_path(parts.work)));
    return fs_finish(context.get(), 0);
}

Result<UniqueFd> mount_by_options(const Parts& parts) {
    std::string options = "lowerdir=0";
    for (std::size_t i = 1; i < parts.layers.size(); ++i)
        options += ":" + std::to_string(i);
    options += ",upperdir=" + fd_path(parts.upper) + ",workdir=" + fd_path(parts.work);
    if (options.size() > 4095)
        return Error(Errc::Unsupported, "too many layers for this kernel");
    if (::syscall(SYS_mount, "overlay", kMountPoint, "overlay", 0, options.c_str()) != 0)
        return os_error("overlay");
    return open_tree(AT_FDCWD, kMountPoint, OPEN_TREE_CLONE);
}

Result<UniqueFd> assemble(const ImageRoot& image, const HostMountRequest& request) {
    if (::unshare(CLONE_NEWNS) != 0)
        return os_error("unshare");
    const UniqueFd slash(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    RAIND_CHECK(droplet::mount_setattr(slash.get(), {.propagation = kPrivate, .recursive = true}));
    RAIND_TRY(const Parts parts, open_parts(image, request));
    RAIND_CHECK(attach_layers(parts, request.scratch));
    auto mount = mount_by_context(parts);
    if (mount)
        return mount;
    auto second = mount_by_options(parts);
    if (!second)
        return std::move(second.error()).context("overlay: " + mount.error().message());
    return second;
}

[[noreturn]] void helper(const ImageRoot& image, const HostMountRequest& request, int socket) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto mount = assemble(image, request);
    const auto sent = mount ? send_packet(socket, "mount", mount->get())
                            : send_packet(socket, mount.error().message());
    ::_exit(sent ? 0 : 1);
}

}  // namespace

Result<UniqueFd> build_layers(const ImageRoot& image, const HostMountRequest& request) {
    RAIND_TRY(auto sockets, packet_pair());
    RAIND_TRY(const CloneResult child, clone_process({}));
    if (child.pid == 0)
        helper(image, request, sockets.second.get());
    sockets.second.reset();
    auto answer = receive_packet(sockets.first.get());
    while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    RAIND_TRY(std::optional<Packet> packet, std::move(answer));
    if (!packet)
        return Error(Errc::Internal, "image layers: the helper ended without an answer");
    if (!packet->fd.valid())
        return Error(Errc::Internal, "image layers: " + packet->text);
    return std::move(packet->fd);
}

}  // namespace raind::droplet
