#include "cli/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <fmt/format.h>

namespace raind::cli {

namespace {

constexpr std::uint32_t kInvalid = 0xffffffff;

struct Decoded {
    std::uint32_t code = kInvalid;
    std::size_t size = 1;
};

unsigned char at(std::string_view text, std::size_t index) {
    return static_cast<unsigned char>(text[index]);
}

// The code point at the start of `text`; overlong forms, surrogates and cut sequences are invalid.
Decoded decode(std::string_view text) {
    const unsigned char lead = at(text, 0);
    if (lead < 0x80)
        return {lead, 1};
    std::size_t size = 0;
    std::uint32_t code = 0;
    std::uint32_t least = 0;
    if ((lead & 0xe0U) == 0xc0) {
        size = 2, code = lead & 0x1fU, least = 0x80;
    } else if ((lead & 0xf0U) == 0xe0) {
        size = 3, code = lead & 0x0fU, least = 0x800;
    } else if ((lead & 0xf8U) == 0xf0) {
        size = 4, code = lead & 0x07U, least = 0x10000;
    } else {
        return {};
    }
    if (text.size() < size)
        return {};
    for (std::size_t i = 1; i < size; ++i) {
        if ((at(text, i) & 0xc0U) != 0x80)
            return {};
        code = (code << 6U) | (at(text, i) & 0x3fU);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return {};
    return {code, size};
}

struct Range {
    std::uint32_t first;
    std::uint32_t last;
};

// Characters that are not shown as themselves: controls, soft hyphen, direction marks, zero width
// and line separators, variation selectors, interlinear marks, tags, private use, non-characters.
constexpr std::array<Range, 16> kHidden = {{
    {0x00, 0x1f},
    {0x7f, 0x9f},
    {0xad, 0xad},
    {0x61c, 0x61c},
    {0x115f, 0x1160},
    {0x180b, 0x180e},
    {0x200b, 0x200f},
    {0x2028, 0x202e},
    {0x2060, 0x206f},
    {0x3164, 0x3164},
    {0xe000, 0xf8ff},
    {0xfe00, 0xfe0f},
    {0xfeff, 0xfeff},
    {0xffa0, 0xffa0},
    {0xfff0, 0xfffb},
    {0xe0000, 0x10ffff},
}};

bool hidden(std::uint32_t code) {
    return std::any_of(kHidden.begin(), kHidden.end(), [code](const Range& range) {
        return code >= range.first && code <= range.last;
    });
}

void append_escaped(std::string& out, std::string_view raw, const Decoded& decoded) {
    if (decoded.code == kInvalid || decoded.code < 0x80) {
        out += fmt::format("\\x{:02x}", at(raw, 0));
        return;
    }
    out += fmt::format("\\u{{{:x}}}", decoded.code);
}

std::string escape(std::string_view text, bool keep_lines) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const Decoded decoded = decode(text);
        const std::string_view raw = text.substr(0, decoded.size);
        if (keep_lines && decoded.code == '\n')
            out += '\n';
        else if (decoded.code == kInvalid || hidden(decoded.code))
            append_escaped(out, raw, decoded);
        else
            out += raw;
        text.remove_prefix(decoded.size);
    }
    return out;
}

std::optional<int> number(std::string_view text, std::size_t from, std::size_t size) {
    if (text.size() < from + size)
        return std::nullopt;
    int value = 0;
    const char* const first = text.data() + from;
    const auto [end, error] = std::from_chars(first, first + size, value);
    if (error != std::errc() || end != first + size || *first == '-')
        return std::nullopt;
    return value;
}

// Seconds east of UTC of "Z", "+09:00", "-03:30".
std::optional<int> offset_seconds(std::string_view zone) {
    if (zone == "Z" || zone == "z")
        return 0;
    if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':')
        return std::nullopt;
    const auto hours = number(zone, 1, 2);
    const auto minutes = number(zone, 4, 2);
    if (!hours || !minutes)
        return std::nullopt;
    const int total = *hours * 3600 + *minutes * 60;
    return zone[0] == '-' ? -total : total;
}

std::size_t edit_distance(std::string_view left, std::string_view right) {
    std::vector<std::vector<std::size_t>> cost(left.size() + 1,
                                               std::vector<std::size_t>(right.size() + 1));
    for (std::size_t i = 0; i <= left.size(); ++i)
        cost[i][0] = i;
    for (std::size_t j = 0; j <= right.size(); ++j)
        cost[0][j] = j;
    for (std::size_t i = 1; i <= left.size(); ++i) {
        for (std::size_t j = 1; j <= right.size(); ++j) {
            const std::size_t change = left[i - 1] == right[j - 1] ? 0 : 1;
            cost[i][j] =
                std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
            const bool swapped =
                i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if (swapped)
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[left.size()][right.size()];
}

}  // namespace

std::string terminal_safe(std::string_view text) {
    return escape(text, false);
}

std::string terminal_safe_lines(std::string_view text) {
    return escape(text, true);
}

std::string ascii_json(std::string_view json_line) {
    std::string out;
    out.reserve(json_line.size());
    while (!json_line.empty()) {
        const Decoded decoded = decode(json_line);
        if (decoded.code == kInvalid) {
            out += "\\ufffd";
        } else if (decoded.code >= 0x10000) {
            const std::uint32_t rest = decoded.code - 0x10000;
            out +=
                fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10U), 0xdc00 + (rest & 0x3ffU));
        } else if (decoded.code < 0x20 || decoded.code >= 0x7f) {
            out += fmt::format("\\u{:04x}", decoded.code);
        } else {
            out += static_cast<char>(decoded.code);
        }
        json_line.remove_prefix(decoded.size);
    }
    return out;
}

std::size_t char_width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0U) != 0x80;
    }));
}

std::string_view first_chars(std::string_view text, std::size_t count) {
    std::size_t position = 0;
    while (position < text.size()) {
        if ((at(text, position) & 0xc0U) != 0x80) {
            if (count == 0)
                break;
            --count;
        }
        ++position;
    }
    return text.substr(0, position);
}

std::string Table::render() const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], char_width(row[i]));
    }
    std::string out;
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            out += row[i];
            if (i + 1 < row.size())
                out.append(widths[i] - char_width(row[i]) + 2, ' ');
        }
        out += '\n';
    }
    return out;
}

std::optional<std::time_t> parse_time(std::string_view text) {
    if (text.size() < 20 || text[4] != '-' || text[7] != '-' ||
        (text[10] != 'T' && text[10] != ' ') || text[13] != ':' || text[16] != ':')
        return std::nullopt;
    const std::array<std::optional<int>, 6> parts = {number(text, 0, 4),  number(text, 5, 2),
                                                     number(text, 8, 2),  number(text, 11, 2),
                                                     number(text, 14, 2), number(text, 17, 2)};
    if (!std::all_of(parts.begin(), parts.end(), [](const auto& part) { return part.has_value(); }))
        return std::nullopt;
    std::string_view zone = text.substr(19);
    if (zone.starts_with('.')) {
        const std::size_t end = zone.find_first_not_of("0123456789", 1);
        if (end == std::string_view::npos)
            return std::nullopt;
        zone.remove_prefix(end);
    }
    const auto offset = offset_seconds(zone);
    if (!offset || *parts[0] <= 1)
        return std::nullopt;
    std::tm fields{};
    fields.tm_year = *parts[0] - 1900;
    fields.tm_mon = *parts[1] - 1;
    fields.tm_mday = *parts[2];
    fields.tm_hour = *parts[3];
    fields.tm_min = *parts[4];
    fields.tm_sec = *parts[5];
    return timegm(&fields) - *offset;
}

std::string relative_time(std::time_t then, std::time_t now) {
    constexpr std::time_t kMinute = 60;
    constexpr std::time_t kHour = 60 * kMinute;
    constexpr std::time_t kDay = 24 * kHour;
    const std::time_t age = now - then;
    if (age < kMinute)
        return "less than a minutes";
    if (age < kHour)
        return fmt::format("{} minutes ago", age / kMinute);
    if (age < kDay)
        return fmt::format("{} hours ago", age / kHour);
    if (age < 30 * kDay)
        return fmt::format("{} days ago", age / kDay);
    std::tm fields{};
    localtime_r(&then, &fields);
    return fmt::format("{:04}-{:02}-{:02}", fields.tm_year + 1900, fields.tm_mon + 1,
                       fields.tm_mday);
}

std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
    std::optional<std::string> best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < best_distance && distance < candidate.size()) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string percent_encode(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = byte < 0x80 && (std::isalnum(byte) != 0 || c == '-' || c == '_' ||
                                           c == '.' || c == '~');
        if (plain)
            out += c;
        else
            out += fmt::format("%{:02X}", byte);
    }
    // "." and ".." would be taken for path steps.
    if (out == "." || out == "..") {
        std::string dots;
        for (std::size_t i = 0; i < out.size(); ++i)
            dots += "%2E";
        return dots;
    }
    return out;
}

}  // namespace raind::cli
