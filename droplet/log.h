// Where droplet's warnings and its one error line go: standard error and, with --log, a file that
// callers read; and its audit records. One object per run of the program, passed by reference;
// single-threaded.
#pragma once

#include <string>
#include <string_view>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "droplet/audit.h"

namespace raind::droplet {

enum class LogFormat { Text, Json };
enum class LogLevel { Error, Warning, Debug };

class Logger {
  public:
    Logger() = default;
    Logger(LogFormat format, LogLevel level) : format_(format), level_(level) {}

    // Further lines go to this file as well.
    Status open_file(const std::string& path);
    // Where standard error is meant; the descriptor stays the caller's.
    void set_terminal(int fd) { terminal_ = fd; }
    void error(std::string_view text) { write(LogLevel::Error, text); }
    void warning(std::string_view text) { write(LogLevel::Warning, text); }
    void debug(std::string_view text) { write(LogLevel::Debug, text); }
    void set_audit(AuditLog audit) { audit_ = std::move(audit); }
    void audit(const AuditRecord& record) const { audit_.write(record); }

  private:
    void write(LogLevel level, std::string_view text);

    LogFormat format_ = LogFormat::Text;
    LogLevel level_ = LogLevel::Warning;
    AuditLog audit_;
    UniqueFd file_;
    int terminal_ = 2;
};

// RFC 3339 in UTC with nanoseconds.
std::string timestamp_now();

}  // namespace raind::droplet
