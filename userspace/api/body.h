// Reads the JSON body of a request into its type, with the published error texts. Include in .cpp
// files only.
#pragma once

#include <charconv>
#include <optional>

#include "raind/api/codec.h"

#include "userspace/api/envelope.h"
#include "userspace/api/http/head.h"
#include "userspace/api/routes.h"

namespace raind::api {

inline constexpr std::string_view kInvalidJson = "invalid json: ";
inline constexpr std::string_view kServiceFailed = "service failed: ";

enum class EmptyBody { Refused, Allowed };

template <typename T>
Result<T> read_body(const RouteCall& call, EmptyBody empty = EmptyBody::Refused) {
    if (call.body.empty() && empty == EmptyBody::Allowed)
        return T{};
    if (call.body.empty())
        return Error(Errc::InvalidArgument, "EOF");
    RAIND_TRY(const Json json, parse_json(call.body));
    return decode<T>(json);
}

// Of a call that takes no body: what is not understood must not be dropped silently.
inline std::optional<http::Response> refuse_body(const RouteCall& call) {
    if (call.body.empty())
        return std::nullopt;
    const auto json = parse_json(call.body);
    if (!json)
        return failure(kInvalidJson, json.error());
    if (!json->is_null() && (!json->is_object() || !json->empty()))
        return failure(kInvalidJson, Error(Errc::InvalidArgument, "this call takes no body"));
    return std::nullopt;
}

// A count of lines from the query: nothing when absent; `max` is the highest that is allowed.
inline Result<std::optional<std::size_t>> tail_lines_of(const RouteCall& call, std::size_t max,
                                                        std::string_view malformed) {
    const auto text = http::query_value(call.head.query, "tail_lines");
    if (!text)
        return std::optional<std::size_t>();
    std::size_t lines = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), lines);
    if (text->empty() || error != std::errc() || end != text->data() + text->size())
        return Error(Errc::InvalidArgument, std::string(malformed));
    if (lines > max)
        return Error(Errc::InvalidArgument,
                     "tail failed: invalid tail lines: max=" + std::to_string(max));
    return std::optional<std::size_t>(lines);
}

}  // namespace raind::api
