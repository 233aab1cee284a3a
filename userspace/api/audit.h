// AuditLog: one JSON line for every API call, refusals included (raind_audit.jsonl). Thread-safe.
// As long as the log cannot be written, changes are refused: ready() tells, and reserves the room
// for the record of the change that it admits.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "raind/result.h"

#include "userspace/common/clock.h"
#include "userspace/common/jsonl.h"

namespace raind::api {

enum class Severity { Information, Low, Medium, High, Critical };

std::string_view severity_name(Severity severity);
// Refused and failed calls weigh one step more.
Severity raised(Severity severity);

// What is known of a call when it is over. `target` and `extra` are objects.
struct AuditEntry {
    WallTime begun;
    std::string correlation_id;
    Severity severity = Severity::Low;
    std::string spiffe_id;
    std::string fingerprint;
    std::string peer_ip;
    std::string action;
    std::string method;
    std::string path;
    std::string host;
    int code = 0;
    std::string reason;  // empty: none
    std::uint64_t bytes = 0;
    std::uint64_t latency_ms = 0;
};

class AuditLog {
  public:
    // `node` is the host's name or id as it stands in every record.
    static Result<std::unique_ptr<AuditLog>> open(stdfs::path path, std::string node);

    // Unavailable: the log cannot take a record now.
    Status ready();
    // A failure is logged, counted and remembered until a record can be written again.
    void write(const AuditEntry& entry, const nlohmann::json& target);

    std::uint64_t failures() const { return failures_.load(); }
    // "<node>/<random>-<counter>", unique for each call.
    std::string next_correlation_id();

  private:
    AuditLog(JsonlFile file, std::string node);

    JsonlFile file_;
    std::string node_;
    std::string run_;  // random part of the correlation ids
    std::atomic<std::uint64_t> counter_ = 0;
    std::atomic<std::uint64_t> failures_ = 0;
    std::atomic<bool> broken_ = false;
};

// "allow", "deny" or "error".
std::string_view audit_status(int code);

}  // namespace raind::api
