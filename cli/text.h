// Text for people: what came from outside made harmless for a terminal, tables, times. Pure
// functions without I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace raind::cli {

// The text with everything that could steer a terminal (control characters, invalid UTF-8,
// direction marks, invisible format characters) written as \xNN or \u{N}. Line breaks too.
std::string terminal_safe(std::string_view text);
// The same with line breaks kept; for messages of several lines.
std::string terminal_safe_lines(std::string_view text);
// One JSON line with all non-ASCII and control bytes written as \uNNNN. Its meaning stays.
std::string ascii_json(std::string_view json_line);

// Width in characters (code points), as the table layout counts it.
std::size_t char_width(std::string_view text);
// The first `count` characters.
std::string_view first_chars(std::string_view text, std::size_t count);

// Left-aligned columns, two spaces apart, as wide as the widest cell; the last one not padded.
class Table {
  public:
    explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    std::string render() const;

  private:
    std::vector<std::vector<std::string>> rows_;
};

// RFC 3339 with or without fraction, with Z or an offset. nullopt: not a time, or year 1 ("never").
std::optional<std::time_t> parse_time(std::string_view text);
// `less than a minutes`, `N minutes ago`, `N hours ago`, `N days ago` or the local date.
std::string relative_time(std::time_t then, std::time_t now);

// The nearest of `candidates`, if it is near enough to be a slip of the keyboard.
std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

// One path segment of a URL.
std::string percent_encode(std::string_view text);

}  // namespace raind::cli
