// What a registry answers to a request without credentials (RFC 6750, the token flow of Docker
// registries). Pure, any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "raind/result.h"

namespace raind::image {

struct AuthChallenge {
    std::string scheme;                             // lower case: "bearer", "basic"
    std::map<std::string, std::string> parameters;  // names in lower case
};

Result<AuthChallenge> parse_challenge(std::string_view header);

// The token of a token server's answer; only characters that may stand in a header.
Result<std::string> parse_token(std::string_view json);

}  // namespace raind::image
