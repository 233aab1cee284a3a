// Identifiers: lower-case ULIDs (48-bit milliseconds, 80 random bits, Crockford base 32,
// https://github.com/ulid/spec), their 12-character short form, and UUIDs of version 4.
#pragma once

#include <string>
#include <string_view>

namespace raind {

inline constexpr std::size_t kUlidLength = 26;
inline constexpr std::size_t kShortIdLength = 12;

// A fresh ULID; within one millisecond the random part is drawn anew, not counted up, because the
// short form shows only the first 12 characters.
std::string make_ulid();
bool is_ulid(std::string_view text);
std::string short_id(std::string_view ulid);

std::string make_uuid();

}  // namespace raind
