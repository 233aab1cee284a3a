// What of this host an instance has for itself: network namespace, cgroup, folder of pins. A second
// daemon with another root would take the first one's containers for strays and end them; so each
// claims what it uses, in one file of the host that a reboot empties, before it looks at anything.
// A claim holds while the store of its instance exists, whether its daemon runs or not.
#pragma once

#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/common/fs.h"

namespace raind::runtime {

struct Claim {
    std::string kind;    // "netns", "cgroup", "bpffs"
    std::string value;   // what it is on this host; groups also hold what lies below them
    std::string option;  // as an operator writes it: --cgroup /raind
};

// The network namespace by its name and, once it exists, by its inode; the process's own without a
// name. Paths without links.
Result<std::vector<Claim>> claims_of(const std::string& netns, const std::string& cgroup,
                                     const stdfs::path& bpffs);

class Claims {
  public:
    // `file` is the host's, /run/raind-instances.json. Made when it is missing.
    explicit Claims(stdfs::path file = "/run/raind-instances.json") : file_(std::move(file)) {}

    // All of them, for the instance with this root, or none. Conflict: another instance has one.
    Status take(const stdfs::path& root, const std::vector<Claim>& wanted) const;
    // Everything that the instance has claimed.
    Status release(const stdfs::path& root) const;

  private:
    stdfs::path file_;
};

}  // namespace raind::runtime
