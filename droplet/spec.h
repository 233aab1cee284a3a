// The part of an OCI config.json that droplet acts on, as plain values: parsed once, checked before
// the first side effect, never changed afterwards.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

#include "droplet/mount_options.h"

namespace raind::droplet {

struct IdMapping {
    std::uint32_t container = 0;
    std::uint32_t host = 0;
    std::uint32_t size = 0;
};

// The host's id of a container's id; nothing where it is not mapped. No mappings: the identity.
std::optional<std::uint32_t> map_id(const std::vector<IdMapping>& mappings, std::uint32_t id);

struct User {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::optional<std::uint32_t> umask;
    std::vector<std::uint32_t> additional_gids;
    // USER[:GROUP] to be found in the container's own passwd and group files ("io.raind.lookup");
    // it replaces uid, gid and adds groups. Absent in bundles of others.
    std::optional<std::string> lookup;
};

// Bit masks by capability number.
struct CapabilitySets {
    std::uint64_t bounding = 0;
    std::uint64_t effective = 0;
    std::uint64_t inheritable = 0;
    std::uint64_t permitted = 0;
    std::uint64_t ambient = 0;
};

struct Rlimit {
    std::string name;
    int resource = 0;
    std::uint64_t soft = 0;
    std::uint64_t hard = 0;
};

struct Process {
    std::string cwd = "/";
    std::vector<std::string> args;
    std::vector<std::string> env;
    User user;
    std::optional<CapabilitySets> capabilities;  // absent: those of the runtime stay
    std::vector<Rlimit> rlimits;
    bool no_new_privileges = false;
    std::optional<int> oom_score_adj;
    std::string apparmor_profile;
};

struct Mount {
    std::string destination;
    std::string type;
    std::string source;
    MountOptions options;
    std::vector<IdMapping> uid_mappings;
    std::vector<IdMapping> gid_mappings;
};

struct Hook {
    std::string path;
    std::vector<std::string> args;
    std::vector<std::string> env;
    int timeout_seconds = 0;  // 0: none
};

struct Hooks {
    std::vector<Hook> prestart;
    std::vector<Hook> create_runtime;
    std::vector<Hook> create_container;
    std::vector<Hook> start_container;
    std::vector<Hook> poststart;
    std::vector<Hook> poststop;
};

struct Namespace {
    std::string type;  // "network"
    int flag = 0;      // CLONE_NEWNET
    std::string path;  // empty: a new one
};

struct Device {
    char type = 'c';  // c, b or p; u is read as c
    std::string path;
    unsigned major = 0;
    unsigned minor = 0;
    std::uint32_t mode = 0666;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};

struct DeviceRule {
    bool allow = false;
    char type = 'a';
    std::int64_t major = -1;  // -1: any
    std::int64_t minor = -1;
    unsigned access = 7;  // 1 mknod, 2 read, 4 write
};

// A file of the v2 cgroup and what goes into it, with the key of the configuration for errors.
struct CgroupSetting {
    std::string key;
    std::string file;
    std::string value;
};

struct SeccompArgument {
    unsigned index = 0;
    std::uint64_t value = 0;
    std::uint64_t value_two = 0;
    int compare = 0;  // scmp_compare
};

struct SeccompRule {
    std::vector<std::string> names;
    std::uint32_t action = 0;
    std::vector<SeccompArgument> arguments;
};

struct Seccomp {
    std::uint32_t default_action = 0;
    std::vector<std::uint32_t> architectures;
    unsigned flags = 0;  // SECCOMP_FILTER_FLAG_*
    std::vector<SeccompRule> rules;
};

// The annotation io.raind.image.config: a root of shared layers instead of root.path.
struct ImageRoot {
    std::vector<std::string> layers;  // lowest first, topmost last
    std::string upper;
    std::string work;
};

struct Spec {
    std::string oci_version;
    std::string hostname;
    std::string domainname;
    std::string root_path;  // absolute after load_bundle
    bool root_readonly = false;
    std::optional<ImageRoot> image;
    std::optional<Process> process;
    std::vector<Mount> mounts;
    Hooks hooks;
    std::map<std::string, std::string> annotations;

    std::vector<Namespace> namespaces;
    std::vector<IdMapping> uid_mappings;
    std::vector<IdMapping> gid_mappings;
    std::vector<Device> devices;
    std::vector<DeviceRule> device_rules;
    std::vector<CgroupSetting> cgroup_settings;
    std::optional<std::int64_t> memory_check_limit;
    std::string cgroups_path;
    bool soft_limits = false;
    std::map<std::string, std::string> sysctl;
    std::optional<Seccomp> seccomp;
    std::vector<std::string> masked_paths;
    std::vector<std::string> readonly_paths;
    std::uint64_t root_propagation = 0;
    bool root_propagation_recursive = true;

    const Namespace* find_namespace(std::string_view type) const;
    bool has_namespace(std::string_view type) const { return find_namespace(type) != nullptr; }
    bool new_namespace(std::string_view type) const;
};

constexpr std::string_view kImageAnnotation = "io.raind.image.config";
constexpr std::string_view kSoftLimitsAnnotation = "io.raind.cgroup.soft";

// Checks everything that can be checked without touching the system.
Result<Spec> parse_spec(std::string_view text);
// A process object by itself (exec --process, the shim's exec).
Result<Process> parse_process(const nlohmann::json& object, const std::string& path);
Result<Process> parse_process_text(std::string_view text);

// A bundle as create sees it: the checked values and the bytes they came from.
struct Bundle {
    std::string path;  // absolute
    std::string text;
    Spec spec;
};
Result<Bundle> load_bundle(const std::string& bundle, const std::string& config_file);

// Names <-> numbers, from one table each.
std::optional<int> capability_number(std::string_view name);  // "CAP_CHOWN"
std::string capability_name(int number);
std::string seccomp_action_name(std::uint32_t action);
std::optional<int> rlimit_number(std::string_view name);  // "RLIMIT_NOFILE"
std::optional<int> signal_number(std::string_view name);  // "9", "KILL", "SIGKILL", "RTMIN+3"
std::string signal_name(int number);                      // "KILL"

bool valid_container_id(std::string_view id);
Status check_container_id(std::string_view id);

}  // namespace raind::droplet
