// The option list of an OCI mount, read once into what the kernel's mount calls take.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "raind/result.h"

namespace raind::droplet {

struct MountOptions {
    bool bind = false;
    bool recursive_bind = false;
    bool remount = false;
    // MOUNT_ATTR_* of the mount itself, and of everything below it.
    std::uint64_t set = 0;
    std::uint64_t clear = 0;
    std::uint64_t recursive_set = 0;
    std::uint64_t recursive_clear = 0;
    std::uint64_t propagation = 0;  // MS_SHARED, MS_SLAVE, ...; 0: none asked for
    bool recursive_propagation = false;
    bool idmap = false;
    bool recursive_idmap = false;
    bool no_follow_source = false;
    bool no_links_source = false;   // x-raind.nolinks: no part of the source may be a link
    bool fill = false;              // x-raind.fill: takes the content of the folder it covers first
    std::vector<std::string> data;  // left for the filesystem: "mode=755", "sync"

    bool has_data(const std::string& key) const;
};

// The last one of contradicting options wins. Options that are known but not implemented are
// refused by name.
Result<MountOptions> parse_mount_options(const std::vector<std::string>& options);

// One propagation word ("rslave"): the MS_ flag and whether it is recursive.
struct Propagation {
    std::uint64_t flag = 0;
    bool recursive = false;
};
Result<Propagation> parse_propagation(const std::string& word);

}  // namespace raind::droplet
