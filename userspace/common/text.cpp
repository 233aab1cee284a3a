#include "userspace/common/text.h"

#include <cstdint>
#include <fmt/format.h>
#include <iterator>

namespace raind {
namespace {

// The length of the valid UTF-8 sequence at the start of text, 0 if there is none (RFC 3629).
std::size_t utf8_sequence(std::string_view text) {
    const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = at(0);
    if (lead < 0x80)
        return 1;
    std::size_t length = 0;
    std::uint32_t code = 0;
    std::uint32_t least = 0;
    if ((lead & 0xe0) == 0xc0) {
        length = 2, code = lead & 0x1fU, least = 0x80;
    } else if ((lead & 0xf0) == 0xe0) {
        length = 3, code = lead & 0x0fU, least = 0x800;
    } else if ((lead & 0xf8) == 0xf0) {
        length = 4, code = lead & 0x07U, least = 0x10000;
    } else {
        return 0;
    }
    if (text.size() < length)
        return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at(i) & 0x3fU);
    }
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least || code > 0x10ffff || surrogate ? 0 : length;
}

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

template <typename OnValid>
void walk_utf8(std::string_view text, std::string& out, OnValid&& on_valid) {
    while (!text.empty()) {
        const std::size_t length = utf8_sequence(text);
        if (length == 0) {
            out += kReplacement;
            text.remove_prefix(1);
            continue;
        }
        on_valid(text.substr(0, length));
        text.remove_prefix(length);
    }
}

}  // namespace

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    while (true) {
        const auto end = text.find(separator);
        parts.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos)
            return parts;
        text.remove_prefix(end + 1);
    }
}

std::string_view trim(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r\n";
    const auto first = text.find_first_not_of(kBlank);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    walk_utf8(text, out, [&](std::string_view sequence) {
        const auto lead = static_cast<std::uint8_t>(sequence[0]);
        const bool c1 = lead == 0xc2 && static_cast<std::uint8_t>(sequence[1]) < 0xa0;
        if (sequence.size() == 1 && (lead < 0x20 || lead == 0x7f))
            fmt::format_to(std::back_inserter(out), "\\x{:02x}", lead);
        else if (c1)
            fmt::format_to(std::back_inserter(out), "\\x{:02x}",
                           static_cast<std::uint8_t>(sequence[1]));
        else
            out += sequence;
    });
    return out;
}

std::string valid_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    walk_utf8(text, out, [&](std::string_view sequence) { out += sequence; });
    return out;
}

void append_json_escaped(std::string& out, std::string_view text) {
    walk_utf8(text, out, [&](std::string_view sequence) {
        const char c = sequence[0];
        if (sequence.size() > 1) {
            out += sequence;
        } else if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c == '\r') {
            out += "\\r";
        } else if (static_cast<std::uint8_t>(c) < 0x20 || c == 0x7f) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<std::uint8_t>(c));
        } else {
            out += c;
        }
    });
}

}  // namespace raind
