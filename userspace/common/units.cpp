#include "userspace/common/units.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace raind {
namespace {

struct Quantity {
    double value;
    std::string_view rest;
};

Result<Quantity> leading_number(std::string_view text, std::string_view whole) {
    double value = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (error != std::errc() || !std::isfinite(value) || value < 0)
        return Error(Errc::InvalidArgument,
                     fmt::format("\"{}\" does not begin with a number", whole));
    return Quantity{value, text.substr(static_cast<std::size_t>(end - text.data()))};
}

double duration_unit(std::string_view& rest) {
    if (rest.starts_with("ms")) {
        rest.remove_prefix(2);
        return 1;
    }
    const char unit = rest.empty() ? '\0' : rest[0];
    if (!rest.empty())
        rest.remove_prefix(1);
    switch (unit) {
        case 's':
            return 1e3;
        case 'm':
            return 60e3;
        case 'h':
            return 3600e3;
        case 'd':
            return 86400e3;
        default:
            return 0;
    }
}

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    double total = 0;
    std::string_view rest = text;
    do {
        RAIND_TRY(const Quantity part, leading_number(rest, text));
        rest = part.rest;
        const double unit = duration_unit(rest);
        total += part.value * unit;
        if (unit == 0 || total > 1e15)
            return Error(
                Errc::InvalidArgument,
                fmt::format("\"{}\" is not a duration such as 90s, 10m, 1h30m or 7d", text));
    } while (!rest.empty());
    return std::chrono::milliseconds(static_cast<std::int64_t>(total));
}

Result<std::uint64_t> parse_size(std::string_view text) {
    RAIND_TRY(const Quantity part, leading_number(text, text));
    std::string_view unit = part.rest;
    double factor = 1;
    if (!unit.empty()) {
        constexpr std::string_view kUnits = "bkmgt";
        const auto power =
            kUnits.find(static_cast<char>(std::tolower(static_cast<unsigned char>(unit[0]))));
        unit.remove_prefix(1);
        const bool suffix_ok = unit.empty() || unit == "b" || unit == "B" || unit == "iB";
        if (power == std::string_view::npos || !suffix_ok)
            return Error(Errc::InvalidArgument,
                         fmt::format("\"{}\" is not a size such as 512m, 1.5g or bytes", text));
        for (std::size_t i = 0; i < power; ++i)
            factor *= 1024;
    }
    const double bytes = part.value * factor;
    if (bytes >= 9e18)
        return Error(Errc::InvalidArgument, fmt::format("size \"{}\" is too large", text));
    return static_cast<std::uint64_t>(bytes);
}

Result<std::int64_t> parse_number(std::string_view text, std::int64_t low, std::int64_t high,
                                  std::string_view what) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < low || value > high)
        return Error(
            Errc::InvalidArgument,
            fmt::format("invalid {}: \"{}\" (a number from {} to {})", what, text, low, high));
    return value;
}

}  // namespace raind
