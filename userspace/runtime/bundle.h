// The OCI bundle of a container: config.json with the product's defaults, and the files that are
// bound into it. Pure except for write_bundle.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/common/fs.h"
#include "userspace/core/model.h"
#include "userspace/runtime/cgroup_limits.h"

namespace raind::runtime {

// What an image's configuration says; data, never instructions to the host.
struct ImageDefaults {
    std::vector<std::string> env;
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::string user;
    std::string working_dir;
    std::string stop_signal;
};

// A user's mount: always id-mapped, so that ids are the same inside and on disk.
struct BundleMount {
    std::string source;  // on the host, without links
    std::string target;
    bool read_only = false;
    bool recursive = false;  // with what is mounted below the source
    bool fill = false;       // first it takes what the image has at the target
};

constexpr std::uint64_t kOpenFiles = 524288;  // to which a container's programs may raise theirs

struct BundleSpec {
    stdfs::path directory;            // of the container: etc, diff, work lie below
    std::vector<stdfs::path> layers;  // lowest first
    std::string cgroup_path;          // below the mount of cgroup v2: /raind/<id>
    CgroupLimits limits;
    std::string apparmor;  // profile, empty: this host has none
    ImageDefaults image;
    std::vector<std::string> name_servers;
    std::vector<BundleMount> mounts;
    std::uint64_t open_files = kOpenFiles;  // hard limit
};

// kOpenFiles, or the daemon's own limit where even it may not have more. Raises the daemon's.
std::uint64_t reachable_open_files();

// The argument vector that runs: --entrypoint, command, image, in that order of precedence.
Result<std::vector<std::string>> resolve_process(const core::ContainerOptions& options,
                                                 const ImageDefaults& image);

Result<nlohmann::json> make_config(const core::ContainerRecord& container, const BundleSpec& spec);

// Makes the folder tree of the container and writes config.json, config_hash.json, etc/*.
Status write_bundle(const core::ContainerRecord& container, const BundleSpec& spec);

// The host's name servers that are not loopback, from the text of a resolv.conf.
std::vector<std::string> usable_name_servers(std::string_view resolv_conf);

}  // namespace raind::runtime
