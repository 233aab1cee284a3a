// Requests and answers of the management API (/v1), shared by the daemon and the CLI. The JSON form
// of each type is in raind/api/codec.h. Key spellings are contract, wrong ones included
// ("statedAt").
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "raind/secret.h"

namespace raind::api {

inline constexpr const char* kDefaultHost = "127.0.0.1";
inline constexpr std::uint16_t kManagementPort = 7755;
inline constexpr const char* kStreamsProtocol = "raind.streams.v1";

inline constexpr std::int64_t kLongestStopTimeout = 86'400;  // seconds

// POST /v1/containers
struct CreateContainerRequest {
    std::string image;
    std::vector<std::string> command;
    std::vector<std::string> port;   // [ADDRESS:]HOST:CONTAINER[/PROTOCOL]
    std::vector<std::string> mount;  // HOST:CONTAINER[:options] or NAME:CONTAINER[:options]
    std::vector<std::string> env;    // KEY=VALUE
    std::string network;             // empty: raind0
    bool tty = false;                // refused for now
    std::string name;
    // Additions to the original's object, all optional.
    std::vector<std::string> entrypoint;
    std::string user;
    std::string working_dir;  // workingDir
    std::string hostname;
    bool read_only = false;             // readOnly
    std::vector<std::string> cap_add;   // capAdd
    std::vector<std::string> cap_drop;  // capDrop
    std::map<std::string, std::string> labels;
    bool auto_remove = false;  // autoRemove: the daemon removes it when it ends
    // Absent: the daemon's default. 0 and -1: no limit.
    std::optional<std::int64_t> memory;        // bytes
    std::optional<std::int64_t> nano_cpus;     // nanoCpus: 10^9 is one processor
    std::optional<std::int64_t> pids_limit;    // pidsLimit
    std::string stop_signal;                   // stopSignal; empty: the image's, else TERM
    std::optional<std::int64_t> stop_timeout;  // stopTimeout: seconds until KILL
};

// One published port of a container.
struct PortForward {
    std::string address;            // addition; empty: every address of the host, both families
    std::uint16_t source = 0;       // of the host
    std::uint16_t destination = 0;  // of the container
    std::string protocol;           // tcp, udp
};

struct MountInfo {
    std::string type;  // bind or volume
    std::string name;  // of the volume
    std::string source;
    std::string destination;
    bool read_only = false;  // readOnly
};

// One of GET /v1/containers; times RFC 3339, never is 0001-01-01T00:00:00Z.
struct ContainerInfo {
    std::string container_id;  // containerId
    std::string name;
    std::string state;  // creating, created, running, stopped
    int pid = 0;
    std::string image_repository;  // imageRepository: library/nginx
    std::string image_reference;   // imageReference
    std::vector<std::string> command;
    std::string address;  // IPv4
    std::vector<PortForward> forwards;
    std::string creating_at, created_at, started_at,
        stopped_at;  // creatingAt createdAt statedAt stoppedAt
    // Additions.
    std::string uid;
    std::string address6;
    std::string mac;
    std::string network;
    std::string host_interface;  // hostInterface
    std::string spiffe_id;       // spiffeId
    std::uint32_t identity = 0;
    std::uint32_t endpoint = 0;  // present incarnation, 0: none
    int exit_code = 0;           // exitCode; meaningful when stopped
    std::string reason;
    std::string message;
    std::uint32_t id_first = 0;  // userns: {"first","count"}
    std::uint32_t id_count = 0;
    std::map<std::string, std::string> labels;
    std::vector<std::string> warnings;  // limits that the host cannot set, ...
    std::string user;                   // as configured, empty: root
    std::string stop_signal;            // stopSignal
    // Of one container only (inspect), as its bundle has them: what is in force.
    std::string apparmor;                // profile, empty: none
    std::optional<std::int64_t> memory;  // limits: {"memory","nanoCpus","pids"}, null: none
    std::optional<std::int64_t> nano_cpus, pids;
    std::vector<MountInfo> mounts;
};

// POST /v1/containers/{c}/actions/exec -> ExecCreated; then GET .../exec/attach?exec_id=
struct ExecRequest {
    std::vector<std::string> command;
    bool tty = false;  // refused for now
    bool detach = false;
    std::vector<std::string> env;
    std::string user;
    std::string working_dir;  // workingDir
};
struct ExecCreated {
    std::string id;       // the container as given
    std::string exec_id;  // exec_id
};

// POST /v1/containers/{c}/actions/kill; addition.
struct KillRequest {
    std::string signal;  // TERM, SIGTERM, 15; empty: KILL
};

// GET /v1/containers/{c}/wait blocks until it has ended; addition.
struct WaitResult {
    int exit_code = 0;  // exit_code, 128+N for a signal
    std::string reason;
};

// POST /v1/volumes; addition, as everything about volumes.
struct CreateVolumeRequest {
    std::string name;  // empty: made up
    std::map<std::string, std::string> labels;
};
struct VolumeInfo {
    std::string name;
    std::string state;  // empty, filling, ready, removing
    std::string mountpoint;
    std::string created_at;  // createdAt
    std::map<std::string, std::string> labels;
    std::vector<std::string> users;  // names of containers
};

// POST, DELETE /v1/images
struct ImageRequest {
    std::string image;
    std::string os;
    std::string arch;
};
struct ImageInfo {
    std::string repository;
    std::string reference;
    std::string created_at;        // createdAt
    std::string digest;            // addition: of the manifest
    std::uint64_t size_bytes = 0;  // sizeBytes, addition
    // Of GET /v1/images/status only; no id in lists.
    std::string id = {};                         // digest of the configuration
    std::vector<std::string> repo_tags = {};     // repoTags; null for a digest reference
    std::vector<std::string> repo_digests = {};  // repoDigests
    std::string user = {};
};

// POST /v1/registries. The answer has the registry and the user.
struct LoginRequest {
    std::string registry;  // HOST[:PORT]; empty: docker.io
    std::string username;
    Secret password;
};
// DELETE /v1/registries/{registry}
struct LogoutResult {
    std::string registry;
    bool removed = false;  // false: there was no login
};

// POST /v1/policies
struct AddPolicyRequest {
    std::string chain;  // RAIND-EW, RAIND-NS-OBS, RAIND-NS-ENF
    std::string source;
    std::string dest;
    std::string protocol;
    std::int64_t dport = 0;
    std::string comment;
};
struct PolicyInfo {
    std::string id;
    std::string status;  // before_commit, applied, remove_next_commit, unresolved
    std::string reason;
    std::string source_name;          // source.container_name
    std::string destination_name;     // destination.container_name
    std::string destination_address;  // destination.address
    std::string protocol;
    std::uint16_t dport = 0;
    std::string comment;
};
// GET /v1/policies/{chain}
struct PolicyList {
    std::string
        mode;  // deny_by_default, observe, enforce, observe_next_commit, enforce_next_commit
    std::vector<PolicyInfo> policies;
};
// Data of POST /v1/policies/commit; addition.
struct CommitResult {
    std::uint64_t revision = 0;
    std::uint64_t flows_kept = 0;
    std::uint64_t flows_cut = 0;
};

// GET /v1/system/info and /v1/system/check; additions.
struct SystemCheck {
    std::string name;    // "cgroup v2", "ipv4 forwarding", ...
    std::string status;  // ok, warning, failed
    std::string detail;
};
struct SystemInfo {
    std::string version;
    std::string node;  // stable id of this host
    std::string kernel;
    std::string backend;
    std::uint64_t policy_revision = 0;
    std::uint64_t containers = 0;
    std::uint64_t containers_running = 0;
    std::string management;  // address of the listener
    std::string started_at;
};

}  // namespace raind::api
