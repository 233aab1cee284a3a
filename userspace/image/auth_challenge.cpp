#include "userspace/image/auth_challenge.h"

#include <algorithm>

#include "userspace/common/json.h"
#include "userspace/common/text.h"

namespace raind::image {

namespace {

constexpr std::size_t kMaxParameters = 16;
constexpr std::size_t kMaxToken = 64U << 10;

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

Error invalid() {
    return {Errc::InvalidArgument, "the registry's challenge cannot be read"};
}

// A quoted or plain value at the beginning of `rest`, which moves behind it.
Result<std::string> take_value(std::string_view& rest) {
    std::string value;
    if (rest.empty() || rest.front() != '"') {
        const auto end = std::min(rest.find(','), rest.size());
        value = trim(rest.substr(0, end));
        rest.remove_prefix(end);
        return value;
    }
    rest.remove_prefix(1);
    while (!rest.empty() && rest.front() != '"') {
        if (rest.front() == '\\')
            rest.remove_prefix(1);
        if (rest.empty())
            return invalid();
        value.push_back(rest.front());
        rest.remove_prefix(1);
    }
    if (rest.empty())
        return invalid();
    rest.remove_prefix(1);
    return value;
}

}  // namespace

Result<AuthChallenge> parse_challenge(std::string_view header) {
    header = trim(header);
    const auto space = header.find(' ');
    AuthChallenge challenge;
    challenge.scheme = lower(header.substr(0, space));
    if (challenge.scheme.empty())
        return invalid();
    std::string_view rest =
        space == std::string_view::npos ? std::string_view{} : trim(header.substr(space));
    while (!rest.empty()) {
        const auto equals = rest.find('=');
        if (equals == std::string_view::npos || challenge.parameters.size() >= kMaxParameters)
            return invalid();
        const std::string name = lower(trim(rest.substr(0, equals)));
        rest = trim(rest.substr(equals + 1));
        RAIND_TRY(challenge.parameters[name], take_value(rest));
        rest = trim(rest);
        if (rest.empty())
            break;
        if (rest.front() != ',')
            return invalid();
        rest = trim(rest.substr(1));
    }
    return challenge;
}

Result<std::string> parse_token(std::string_view json) {
    RAIND_TRY(
        const Json document,
        parse_json(json, {.bytes = json.size(), .depth = 16}).context("the token server's answer"));
    const JsonReader reader(document, "token answer");
    RAIND_CHECK(reader.expect_object());
    RAIND_TRY(std::string token, reader.string("token", ""));
    if (token.empty()) {
        RAIND_TRY(token, reader.string("access_token", ""));
    }
    const bool good =
        !token.empty() && token.size() <= kMaxToken &&
        std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 127; });
    if (!good)
        return Error(Errc::InvalidArgument, "the token server gave no usable token");
    return token;
}

}  // namespace raind::image
