// The audit record of what droplet does (docs/operator): JSON lines, appended, bounded. A record
// that cannot be written is lost: it never fails or delays a command. Single-threaded; several
// processes may write to one file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "droplet/spec.h"

namespace raind::droplet {

// What a hook did.
struct AuditHook {
    std::string phase;
    std::string path;
    std::string args_sha256;
    std::string stdin_sha256;
    std::size_t stdin_bytes = 0;
    int exit_code = 0;  // 128+N for a signal, 255 when its time was over
    std::int64_t duration_ms = 0;
    std::string output_tail;
};

struct AuditRecord {
    std::string event;  // create, start, init, shim, exec, exec_shim, kill, delete, hook
    std::string container_id;
    std::string bundle;
    std::string state_path;
    std::vector<std::string> exec_command;
    std::vector<std::string> signals;
    int pid = 0;
    std::string facts;  // JSON object of the configuration, from audit_facts()
    const AuditHook* hook = nullptr;
    bool good = true;
    std::string stage;  // of a failure
    std::string message;
};

// Namespaces, capabilities, seccomp and LSM of a configuration and the hash of its text.
std::string audit_facts(const Spec& spec, const std::string& text);

// The line without its end, at most 64 KiB.
std::string audit_line(const AuditRecord& record);

class AuditLog {
  public:
    // An empty path writes nothing.
    explicit AuditLog(std::string path = {}, std::size_t max_bytes = 16U << 20)
        : path_(std::move(path)), max_bytes_(max_bytes) {}
    void write(const AuditRecord& record) const;

  private:
    std::string path_;
    std::size_t max_bytes_;  // beyond it the newest 15,000 lines of the newer half stay
};

}  // namespace raind::droplet
