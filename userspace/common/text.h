// Small text helpers without any knowledge of containers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace raind {

std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

// Valid UTF-8 without control characters: invalid bytes and C0/C1 controls become \xNN or U+FFFD,
// so that nothing a container, image or registry supplies drives a terminal.
std::string printable(std::string_view text);

// Invalid UTF-8 sequences replaced by U+FFFD; everything else as it is.
std::string valid_utf8(std::string_view text);

// Appends text as the inside of a JSON string (without the quotes): RFC 8259 section 7, invalid
// UTF-8 replaced.
void append_json_escaped(std::string& out, std::string_view text);

}  // namespace raind
