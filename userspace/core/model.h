// The records the daemon keeps: containers, networks, images, policies, operations. Plain values,
// shared by the rules in core, the repositories in store and the life cycle in runtime.
// Numbers (identity, endpoint, rule) mean something on this host only; names are global.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "userspace/common/addr.h"
#include "userspace/common/clock.h"
#include "userspace/common/port_mapping.h"

namespace raind::core {

// 32-bit security identity; reserved numbers are in raind/abi (0 unknown, 1 host, ...).
using IdentityId = std::uint32_t;
// One incarnation (one start) of an endpoint; counts up, never repeated.
using EndpointId = std::uint32_t;
// 1..255 predefined, user rules from 256.
using RuleId = std::uint32_t;

struct IdRange {
    std::uint32_t first = 0;  // host uid and gid of the container's root
    std::uint32_t count = 0;
    auto operator<=>(const IdRange&) const = default;
};

// What a container may use at most. Nothing: the daemon's default, set only where the host can;
// 0: no limit. A value that was asked for is set, or the container is refused.
struct ResourceLimits {
    std::optional<std::int64_t> memory;     // bytes, swap included
    std::optional<std::int64_t> nano_cpus;  // 10^9 is one processor
    std::optional<std::int64_t> pids;
    bool operator==(const ResourceLimits&) const = default;
};

enum class ContainerState { Creating, Created, Running, Stopped };

enum class MountKind { Bind, Volume };

// One -v of a container.
struct MountRecord {
    MountKind kind = MountKind::Volume;
    std::string source;  // the volume's name, or a path of the host without links
    std::string target;  // absolute and normal
    bool read_only = false;
    bool copy = true;  // an empty volume takes what the image has at the target
    bool operator==(const MountRecord&) const = default;
};

// What the caller of create asked for, kept so that a stopped container can be created again.
struct ContainerOptions {
    std::vector<std::string> command;     // replaces the image's entry point and command together
    std::vector<std::string> entrypoint;  // --entrypoint: replaces the image's entry point only
    std::vector<std::string> env;         // KEY=VALUE, after the image's
    std::string user;                     // USER[:GROUP], names of the image or numbers
    std::string working_dir;
    std::string hostname;  // empty: the container id
    bool read_only = false;
    std::vector<std::string> cap_add;
    std::vector<std::string> cap_drop;
    std::map<std::string, std::string> labels;
    bool auto_remove = false;
    ResourceLimits limits;
    std::string stop_signal;          // empty: TERM; the image's stands here after create
    std::optional<int> stop_timeout;  // seconds between the stop signal and KILL
    std::vector<PortMapping> ports;   // published: held from create until removal
    std::vector<MountRecord> mounts;  // parents before what lies below them
};

struct ContainerRecord {
    std::string id;   // first 12 characters of uid
    std::string uid;  // ULID
    std::string name;
    IdentityId identity = 0;
    EndpointId ep_id = 0;  // of the present incarnation; 0: none
    ContainerState state = ContainerState::Creating;
    int pid = 0;  // of the first process on the host; 0: none
    int shim_pid = 0;
    std::uint64_t shim_start = 0;  // its start time, so that a reused pid is never signalled
    std::string boot_id;           // of the host when pid and shim_pid were written

    std::string image_repository;      // library/nginx
    std::string image_reference;       // tag or digest
    std::string image_digest;          // of the manifest
    std::vector<std::string> layers;   // chain ids (hex), lowest first
    std::vector<std::string> process;  // the argument vector that runs
    ContainerOptions options;

    std::string network;  // bridge name
    IpAddress ip4;
    IpAddress ip6;
    MacAddress mac;
    std::string host_interface;  // rd_<id>
    IdRange ids;

    int exit_code = 0;
    std::string reason;
    std::string message;
    WallTime creating_at, created_at, started_at, stopped_at;

    std::string spiffe_id() const { return "spiffe://raind/container/" + id; }
};

// One network: a bridge with one prefix of each family.
struct PoolRecord {
    std::string interface;     // raind0
    Cidr subnet4;              // 10.166.0.0/24
    IpAddress gateway4;        // 10.166.0.254
    Cidr subnet6;              // fdXX:XXXX:XXXX:n::/64
    IpAddress gateway6;        // ::fe of it
    MacAddress mac;            // of the bridge
    std::uint32_t number = 0;  // n: third octet of the IPv4 pool
};

struct AddressAllocation {
    std::string interface;  // of the pool
    IpAddress ip4;
    IpAddress ip6;
    std::string container_id;  // empty: released
    WallTime assigned_at;
    WallTime released_at;  // never: still assigned
};

struct RangeAllocation {
    IdRange range;
    std::string container_id;  // empty: released
    WallTime released_at;
};

struct ImageRecord {
    std::string repository;       // library/busybox, team/app, host:port/team/app
    std::string reference;        // tag or digest
    std::string manifest_digest;  // sha256:<hex>
    std::string config_digest;
    std::vector<std::string> layers;  // chain ids (hex), lowest first
    std::vector<std::string> blobs;   // every blob that the image needs (hex)
    std::uint64_t size_bytes = 0;     // compressed sum
    WallTime created_at;              // of the image's configuration
    WallTime pulled_at;
};

// Empty: nothing was ever in it. Filling: what is in it is part of an image's folder, and nobody's
// when no create is under way. Removing: gone, but for the files.
enum class VolumeState { Empty, Filling, Ready, Removing };

struct VolumeRecord {
    std::string name;
    VolumeState state = VolumeState::Empty;
    std::map<std::string, std::string> labels;
    WallTime created_at;
};

enum class PolicyChain { EastWest, NorthSouthObserve, NorthSouthEnforce };
enum class PolicyStatus { BeforeCommit, Applied, RemoveNextCommit, Unresolved };
enum class NsMode { Observe, Enforce };

struct PolicyRecord {
    std::string id;  // ULID
    PolicyChain chain = PolicyChain::EastWest;
    PolicyStatus status = PolicyStatus::BeforeCommit;
    std::string reason;
    std::string source;                    // container name
    std::string destination_name;          // east-west
    std::optional<Cidr> destination_cidr;  // north-south
    std::string protocol;                  // "", tcp, udp, icmp
    std::uint16_t dport = 0;               // 0: any
    std::string comment;
    RuleId rule = 0;  // given at the first commit, kept as long as the policy lives
    WallTime created_at;
};

// Everything about policy that survives: what was written, what is in force.
struct PolicyState {
    std::uint64_t revision = 0;           // of the committed set
    NsMode mode = NsMode::Observe;        // in force
    std::optional<NsMode> staged_mode;    // by the next commit
    std::vector<PolicyRecord> policies;   // staged view, in order of creation
    std::vector<PolicyRecord> committed;  // as the last commit left them
    RuleId next_rule = 256;
};

// A change in progress: written before its first effect, removed after its last. What is found at
// start was interrupted and is finished or undone.
struct OperationRecord {
    std::int64_t id = 0;
    std::string kind;     // container.create, container.start, ..., policy.commit
    std::string object;   // container id, ...
    std::string step;     // the last step that was begun
    std::string payload;  // JSON, meaning by kind
    WallTime started_at;
};

}  // namespace raind::core
