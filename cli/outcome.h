// Outcome<T>: a value or what the user is told instead. The CLI's own error type beside
// raind::Result, because a command's failure has an exit code, a hint and sometimes a literal first
// line. Works with RAIND_TRY and RAIND_CHECK.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "raind/result.h"

namespace raind::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUnknownGroup = 3;
inline constexpr int kExitUsage = 125;  // also: run, create, exec failed before the command
inline constexpr int kExitCannotInvoke = 126;
inline constexpr int kExitCommandNotFound = 127;

struct CliError {
    int exit_code = kExitFailed;
    std::string message;     // after "error: "
    std::string hint;        // after "hint: ", may be empty
    std::string headline;    // a literal first line in front of the message, may be empty
    std::string request_id;  // shown with --verbose
};

template <typename T>
class [[nodiscard]] Outcome : public std::expected<T, CliError> {
  public:
    using Base = std::expected<T, CliError>;
    using Base::Base;
    Outcome(CliError error) : Base(std::unexpected(std::move(error))) {}  // NOLINT: by design
};

template <>
class [[nodiscard]] Outcome<void> : public std::expected<void, CliError> {
  public:
    using Base = std::expected<void, CliError>;
    using Base::Base;
    Outcome(CliError error) : Base(std::unexpected(std::move(error))) {}  // NOLINT: by design
};

inline CliError usage_error(std::string message, std::string hint = {}) {
    return CliError{.exit_code = kExitUsage,
                    .message = std::move(message),
                    .hint = std::move(hint),
                    .headline = {},
                    .request_id = {}};
}

inline CliError failure(std::string message, std::string hint = {}) {
    return CliError{.exit_code = kExitFailed,
                    .message = std::move(message),
                    .hint = std::move(hint),
                    .headline = {},
                    .request_id = {}};
}

}  // namespace raind::cli
