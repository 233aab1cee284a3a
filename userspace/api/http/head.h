// Checks on the bytes of a request head before the HTTP library sees them: size and number of
// fields, one meaning for every parser (CRLF only, no folding, one Content-Length, never together
// with chunked), and nothing the library would do on its own (content decoding, HTTP/1.0).
#pragma once

#include <cstddef>
#include <string_view>

#include "raind/result.h"

#include "userspace/api/http/types.h"

namespace raind::api::http {

inline constexpr std::size_t kMaxHeadBytes = 16U * 1024;
inline constexpr std::size_t kMaxHeadFields = 100;

struct HeadRefusal {
    int status;
    std::string_view reason;
};

// `bytes` end with the empty line.
std::expected<RequestHead, HeadRefusal> check_head(std::string_view bytes);

// Decodes %XX; nullopt for malformed escapes or a NUL.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

// The first value of a query parameter.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace raind::api::http
