#include "cli/limit_options.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "cli/text.h"
#include "userspace/common/units.h"

namespace raind::cli {

namespace {

CliError bad_value(std::string_view option, const std::string& text, std::string hint) {
    return usage_error(fmt::format("invalid {}: \"{}\"", option, terminal_safe(text)),
                       std::move(hint));
}

bool all_digits(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

Outcome<std::int64_t> whole_number(const std::string& text, std::int64_t low,
                                   std::string_view option, std::string hint) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < low)
        return bad_value(option, text, std::move(hint));
    return value;
}

}  // namespace

Outcome<std::int64_t> memory_bytes(const std::string& text) {
    if (text == "-1")
        return 0;
    const auto size = parse_size(text);
    // Less than a byte is not 0, which means no limit.
    const bool nothing = size && *size == 0 && text.find_first_of("123456789") != std::string::npos;
    if (!size || nothing)
        return bad_value("-m,--memory", text, "for example 512m, 1.5g or bytes; 0 for no limit");
    return static_cast<std::int64_t>(*size);
}

// By digits: a binary fraction would turn 0.07 into 69 999 999.
Outcome<std::int64_t> cpu_billionths(const std::string& text) {
    constexpr std::size_t kDigits = 9;
    const std::size_t point = text.find('.');
    const std::string whole = text.substr(0, point);
    std::string part = point == std::string::npos ? std::string() : text.substr(point + 1);
    const bool good = all_digits(whole) && all_digits(part) && whole.size() <= 6 &&
                      part.size() <= kDigits && !(whole.empty() && part.empty());
    if (!good)
        return bad_value("--cpus", text, "a number of processors, for example 0.5; 0 for no limit");
    part.resize(kDigits, '0');
    std::int64_t value = 0;
    const std::string digits = whole + part;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

std::vector<OptionSpec> limit_options() {
    return {
        {"-m,--memory", OptionKind::Value, "SIZE",
         "most memory, for example 512m; 0: no limit (else 1g)"},
        {"--cpus", OptionKind::Value, "NUMBER",
         "most processor time, for example 1.5; 0: no limit (else 0.8)"},
        {"--pids-limit", OptionKind::Value, "NUMBER",
         "most processes and threads; 0 or -1: no limit (else 512)"},
        {"--stop-signal", OptionKind::Value, "SIGNAL",
         "what stop sends first (else the image's, or TERM)"},
        {"--stop-timeout", OptionKind::Value, "SECONDS",
         "how long stop waits before KILL (else 3)"},
    };
}

Outcome<void> read_limits(const Parsed& parsed, api::CreateContainerRequest& request) {
    if (parsed.has("memory")) {
        RAIND_TRY(request.memory, memory_bytes(parsed.value("memory")));
    }
    if (parsed.has("cpus")) {
        RAIND_TRY(request.nano_cpus, cpu_billionths(parsed.value("cpus")));
    }
    if (parsed.has("pids-limit")) {
        RAIND_TRY(request.pids_limit, whole_number(parsed.value("pids-limit"), -1, "--pids-limit",
                                                   "a number of processes; 0 or -1 for no limit"));
    }
    if (parsed.has("stop-timeout")) {
        RAIND_TRY(request.stop_timeout, whole_number(parsed.value("stop-timeout"), 0,
                                                     "--stop-timeout", "a number of seconds"));
    }
    request.stop_signal = parsed.value("stop-signal");
    return {};
}

}  // namespace raind::cli
