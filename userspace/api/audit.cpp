#include "userspace/api/audit.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "userspace/common/ids.h"
#include "userspace/common/log.h"

namespace raind::api {

namespace {

constexpr off_t kReserve = 64L * 1024;  // more than the largest record
constexpr std::size_t kMaxField = 4096;

std::string cut(const std::string& text) {
    return text.size() <= kMaxField ? text : text.substr(0, kMaxField);
}

nlohmann::ordered_json actor_json(const AuditEntry& entry) {
    return {{"spiffe_id", entry.spiffe_id},
            {"certt_fingerprint", entry.fingerprint},
            {"peer_ip", entry.peer_ip}};
}

nlohmann::ordered_json result_json(const AuditEntry& entry) {
    nlohmann::ordered_json result{{"status", audit_status(entry.code)}, {"code", entry.code}};
    if (!entry.reason.empty())
        result["reason"] = cut(entry.reason);
    if (entry.bytes != 0)
        result["bytes"] = entry.bytes;
    if (entry.latency_ms != 0)
        result["latence_ms"] = entry.latency_ms;
    return result;
}

}  // namespace

std::string_view severity_name(Severity severity) {
    switch (severity) {
        case Severity::Information:
            return "information";
        case Severity::Low:
            return "low";
        case Severity::Medium:
            return "medium";
        case Severity::High:
            return "high";
        case Severity::Critical:
            break;
    }
    return "critical";
}

Severity raised(Severity severity) {
    return severity == Severity::Critical ? severity
                                          : static_cast<Severity>(static_cast<int>(severity) + 1);
}

std::string_view audit_status(int code) {
    if (code >= 100 && code < 400)
        return "allow";
    // 0: the TLS handshake was refused, there is no HTTP status.
    return code == 0 || code == 401 || code == 403 ? "deny" : "error";
}

AuditLog::AuditLog(JsonlFile file, std::string node)
    : file_(std::move(file)), node_(std::move(node)), run_(short_id(make_ulid())) {
}

Result<std::unique_ptr<AuditLog>> AuditLog::open(stdfs::path path, std::string node) {
    RAIND_TRY(JsonlFile file, JsonlFile::open(std::move(path), {.rotate_bytes = 0, .mode = 0640}));
    return std::unique_ptr<AuditLog>(new AuditLog(std::move(file), std::move(node)));
}

std::string AuditLog::next_correlation_id() {
    return fmt::format("{}/{}-{:06}", node_, run_, ++counter_);
}

Status AuditLog::ready() {
    const auto refused = [](const Error& cause) {
        return Error(Errc::Unavailable, "audit log cannot be written: " + cause.message());
    };
    const auto fd = open_file(file_.path(), O_WRONLY | O_CREAT | O_APPEND, 0640);
    if (!fd.has_value())
        return refused(fd.error());
    struct stat info{};
    if (::fstat(fd->get(), &info) != 0)
        return refused(os_error("stat"));
    if (::fallocate(fd->get(), FALLOC_FL_KEEP_SIZE, info.st_size, kReserve) != 0 &&
        errno != EOPNOTSUPP)
        return refused(os_error("reserve"));
    if (broken_.load())
        return Error(Errc::Unavailable, "audit log cannot be written: the last record failed");
    return {};
}

void AuditLog::write(const AuditEntry& entry, const nlohmann::json& target) {
    const bool allowed = audit_status(entry.code) == "allow";
    const nlohmann::ordered_json record{
        {"generated_ts", rfc3339(entry.begun)},
        {"event_id", make_uuid()},
        {"correlation_id", entry.correlation_id},
        {"severity", severity_name(allowed ? entry.severity : raised(entry.severity))},
        {"actor", actor_json(entry)},
        {"action", entry.action},
        {"target", target.is_object() ? target : nlohmann::json::object()},
        {"request",
         {{"method", cut(entry.method)}, {"path", cut(entry.path)}, {"host", cut(entry.host)}}},
        {"result", result_json(entry)},
        {"runtime", {{"component", "condenser"}, {"node", node_}}}};
    const std::string line =
        record.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
    const auto written = file_.append(line);
    broken_ = !written.has_value();
    if (!written.has_value()) {
        ++failures_;
        log::error("audit: {}", written.error().message());
    }
}

}  // namespace raind::api
