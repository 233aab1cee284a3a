// System calls that the C library of the floor does not wrap, as functions with owned descriptors
// and errors as values. Nothing here knows what a container is. Single-threaded use.
#pragma once

#include <cstdint>
#include <linux/mount.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

namespace raind::droplet {

// What pidfd_open gives; ESRCH becomes "no such process".
Result<UniqueFd> pidfd_open(int pid);
Status pidfd_signal(int pidfd, int signal);
// True when the process behind the descriptor has ended within the time (negative: for ever).
bool pidfd_wait(int pidfd, int milliseconds);
// setns(2) on a pidfd: all namespaces of the mask in one step.
Status setns_all(int fd, int mask);

enum class Links { Follow, Refuse };
// Resolves `path` inside the folder `root`: links and ".." end inside, magic links are refused.
Result<UniqueFd> open_in_root(int root, const std::string& path, int flags,
                              Links links = Links::Follow, mode_t mode = 0);

Result<UniqueFd> open_tree(int dir, const char* path, unsigned flags);
Status move_mount(int mount, int target);
struct MountChange {
    std::uint64_t set = 0;
    std::uint64_t clear = 0;
    std::uint64_t propagation = 0;
    int userns = -1;  // with MOUNT_ATTR_IDMAP
    bool recursive = false;
};
Status mount_setattr(int mount, const MountChange& change);

// A new filesystem instance: each datum is `key=value` or a flag. The mount is detached.
struct FilesystemRequest {
    std::string type;
    std::string source;
    std::vector<std::string> data;
    std::uint64_t attributes = 0;
};
Result<UniqueFd> new_filesystem(const FilesystemRequest& request);
// The context of fsopen, for callers that pass data of their own.
Result<UniqueFd> fs_open(const std::string& type);
Status fs_set(int context, const std::string& key, const std::string& value);
Status fs_set_flag(int context, const std::string& key);
Result<UniqueFd> fs_finish(int context, std::uint64_t attributes);

struct CloneRequest {
    std::uint64_t flags = 0;
    int cgroup = -1;  // a folder of the v2 hierarchy; -1: the caller's cgroup
};
struct CloneResult {
    int pid = 0;  // 0: this is the child
    UniqueFd pidfd;
};
// clone3 with the meaning of fork: memory is copied, the parent gets a pidfd.
Result<CloneResult> clone_process(const CloneRequest& request);

// Closes every descriptor from `first` on but those of `keep`.
void close_all_but(int first, std::vector<int> keep);

// One record of a SOCK_SEQPACKET socket, with at most one descriptor beside it.
struct Packet {
    std::string text;
    UniqueFd fd;
};
Status send_packet(int socket, std::string_view text, int fd = -1);
// Nothing at the end of the stream.
Result<std::optional<Packet>> receive_packet(int socket);
Result<std::pair<UniqueFd, UniqueFd>> packet_pair();

// The start time (field 22) and the state letter of /proc/PID/stat.
struct ProcessStat {
    unsigned long long start_time = 0;
    char state = '?';
};
Result<ProcessStat> process_stat(int pid);
std::string boot_id();

// The text of an errno in the lower case that clients match.
std::string errno_text(int err);

}  // namespace raind::droplet
