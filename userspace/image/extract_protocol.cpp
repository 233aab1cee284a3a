#include "userspace/image/extract_protocol.h"

#include <array>
#include <fmt/format.h>
#include <limits>

#include "userspace/common/text.h"
#include "userspace/common/units.h"

namespace raind::image {

namespace {

constexpr std::size_t kMaxMessage = 4096;
constexpr int kMaxBelow = 10'000;

// The limits in the order in which they stand in the arguments.
std::array<std::uint64_t*, 7> numbers_of(ExtractLimits& limits) {
    return {&limits.max_bytes, &limits.max_entries, &limits.max_path,       &limits.max_depth,
            &limits.max_ratio, &limits.ratio_floor, &limits.max_xattr_bytes};
}

Result<std::uint64_t> read_number(std::string_view text) {
    RAIND_TRY(const std::int64_t value,
              parse_number(text, 0, std::numeric_limits<std::int64_t>::max(), "number"));
    return static_cast<std::uint64_t>(value);
}

}  // namespace

std::vector<std::string> format_arguments(const ExtractArguments& arguments) {
    std::vector<std::string> words = {std::to_string(arguments.parent),
                                      std::to_string(arguments.below)};
    ExtractLimits limits = arguments.limits;
    for (const std::uint64_t* number : numbers_of(limits))
        words.push_back(std::to_string(*number));
    return words;
}

Result<ExtractArguments> parse_arguments(std::span<char*> words) {
    ExtractArguments arguments;
    const auto numbers = numbers_of(arguments.limits);
    if (words.size() != numbers.size() + 2)
        return Error(Errc::InvalidArgument, "wrong arguments for the extraction of a layer");
    RAIND_TRY(const std::int64_t parent,
              parse_number(words[0], 1, std::numeric_limits<int>::max(), "process id"));
    arguments.parent = static_cast<int>(parent);
    RAIND_TRY(const std::int64_t below, parse_number(words[1], 0, kMaxBelow, "number of layers"));
    arguments.below = static_cast<std::size_t>(below);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        RAIND_TRY(*numbers[i], read_number(words[i + 2]));
    }
    return arguments;
}

std::string format_report(const ExtractReport& report) {
    return fmt::format("ok {} {} {} {} {} {}\n", report.diff_id.hex(), report.stats.entries,
                       report.stats.bytes, report.stats.skipped_devices,
                       report.stats.dropped_xattrs, report.unpacked);
}

std::string format_failure(const Error& error) {
    return fmt::format("error {} {}\n", static_cast<int>(error.code()),
                       std::string_view(error.message()).substr(0, kMaxMessage));
}

Result<ExtractReport> parse_report(std::string_view text) {
    const Error broken(Errc::Internal, "the extraction ended without a report");
    if (text.empty() || text.size() > kMaxReport || text.back() != '\n')
        return broken;
    text.remove_suffix(1);
    if (text.starts_with("error ")) {
        text.remove_prefix(6);
        const auto space = text.find(' ');
        const auto code =
            parse_number(text.substr(0, space), 0, static_cast<int>(Errc::Internal), "code");
        if (!code || space == std::string_view::npos)
            return broken;
        return Error(static_cast<Errc>(*code), printable(text.substr(space + 1)));
    }
    const auto words = split(text, ' ');
    if (words.size() != 7 || words[0] != "ok")
        return broken;
    RAIND_TRY(Digest diff_id, Digest::from_hex(words[1]));
    LayerStats stats;
    RAIND_TRY(stats.entries, read_number(words[2]));
    RAIND_TRY(stats.bytes, read_number(words[3]));
    RAIND_TRY(stats.skipped_devices, read_number(words[4]));
    RAIND_TRY(stats.dropped_xattrs, read_number(words[5]));
    RAIND_TRY(const std::uint64_t unpacked, read_number(words[6]));
    return ExtractReport{.diff_id = std::move(diff_id), .stats = stats, .unpacked = unpacked};
}

}  // namespace raind::image
