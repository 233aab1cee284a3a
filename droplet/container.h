// The commands on containers, as functions: each does what its name says or leaves nothing behind.
// Single-threaded; clone and fork inside.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "droplet/log.h"
#include "droplet/spec.h"
#include "droplet/state.h"

namespace raind::droplet {

// How far an operation came: named in errors and in the shim's report.
struct Progress {
    std::string stage;
    int exit_code = 0;  // 126 or 127 when the program is the reason
    // For the audit record, as far as known.
    std::string bundle;
    std::string facts;
    std::string signal;
    std::vector<std::string> command;
    int pid = 0;
};
// The record of a command or phase on one container.
AuditRecord audit_record(const std::string& event, const std::string& id, const std::string& root,
                         const Progress& progress);
AuditRecord audit_failure(AuditRecord record, const Error& error);

enum class CgroupManager { Cgroupfs, Disabled };

struct CreateOptions {
    std::string root;
    std::string id;
    std::string bundle;
    std::string config;
    std::string pid_file;
    int preserve_fds = 0;
    bool new_keyring = true;
    CgroupManager cgroups = CgroupManager::Cgroupfs;
    int shim_pid = 0;
};

struct Created {
    ProcessMark init;
    UniqueFd pidfd;
    std::string cgroup;
};
Result<Created> create_container(const CreateOptions& options, Logger& log, Progress& progress);

// Returns when the program runs (its execve is done), or with the reason why it does not.
Status start_container(const std::string& root, const std::string& id, Logger& log,
                       Progress& progress);

Result<std::string> container_state(const std::string& root, const std::string& id);

enum class KillScope { Init, All };
Status kill_container(const std::string& root, const std::string& id, int signal, KillScope scope,
                      Progress& progress);

enum class DeleteMode { Stopped, Force };
Status delete_container(const std::string& root, const std::string& id, DeleteMode mode,
                        Logger& log, Progress& progress);

struct ExecOptions {
    std::string root;
    std::string id;
    std::string process_file;        // a whole process object
    std::optional<Process> process;  // or already parsed
    std::vector<std::string> args;   // or changes of the container's own process
    std::string cwd;
    std::vector<std::string> env;
    std::optional<std::string> user;  // UID[:GID]
    std::vector<std::uint32_t> additional_gids;
    std::vector<std::string> caps;
    bool no_new_privs = false;
    std::string pid_file;
    int preserve_fds = 0;
};
struct Executed {
    int pid = 0;
    UniqueFd pidfd;
};
// The process has executed its program and is a child of the caller.
Result<Executed> exec_in_container(const ExecOptions& options, Progress& progress);

struct ListEntry {
    std::string id;
    std::string status;
    int pid = 0;
    std::string bundle;
    std::string created;
};
Result<std::vector<ListEntry>> list_containers(const std::string& root, Logger& log);

// Kills whatever is left of a container and removes cgroup and state folder. Idempotent.
Status destroy(StateFolder& folder, const State& state, const Spec* spec, Logger& log);

// Streams belong to the container's user, so that it can open /proc/self/fd/1 again. Pipes and
// regular files only, never a device.
void give_streams(const Spec& spec, const User& user);

Status write_pid_file(const std::string& path, int pid);

// The namespaces that are joined by path, opened and checked.
struct JoinedNamespace {
    int flag = 0;
    UniqueFd fd;
};
Result<std::vector<JoinedNamespace>> open_namespaces(const Spec& spec);

}  // namespace raind::droplet
