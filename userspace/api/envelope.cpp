#include "userspace/api/envelope.h"

#include <nlohmann/json.hpp>

namespace raind::api {

namespace {

using OrderedJson = nlohmann::ordered_json;

http::Response json_response(int status, const OrderedJson& body) {
    http::Response response;
    response.status = status;
    // Names and error texts may come from anywhere: invalid UTF-8 is replaced, never an exception.
    response.body = body.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
    return response;
}

}  // namespace

http::Response success(std::string_view message, const nlohmann::json& data) {
    OrderedJson body{{"status", "success"}};
    if (!message.empty())
        body["message"] = message;
    if (!data.empty())
        body["data"] = data;
    return json_response(200, body);
}

http::Response success(std::string_view message) {
    return success(message, nullptr);
}

http::Response failure(int status, std::string_view code, std::string_view message) {
    return json_response(status, {{"status", "fail"}, {"code", code}, {"message", message}});
}

http::Response failure(std::string_view prefix, const Error& error) {
    return failure(prefix, error, nullptr);
}

http::Response failure(std::string_view prefix, const Error& error, const nlohmann::json& data) {
    OrderedJson body{{"status", "fail"},
                     {"code", error_code_name(error.code())},
                     {"message", std::string(prefix) + error.message()}};
    if (!data.empty())
        body["data"] = data;
    return json_response(http_status(error.code()), body);
}

http::Response plain(int status, std::string_view text) {
    http::Response response;
    response.status = status;
    response.content_type = http::kPlainText;
    response.body = text;
    return response;
}

std::string_view error_code_name(Errc code) {
    switch (code) {
        case Errc::InvalidArgument:
            return "invalid_argument";
        case Errc::Unauthorized:
            return "unauthorized";
        case Errc::Forbidden:
            return "forbidden";
        case Errc::NotFound:
            return "not_found";
        case Errc::AlreadyExists:
            return "already_exists";
        case Errc::Conflict:
            return "conflict";
        case Errc::TooLarge:
            return "too_large";
        case Errc::Unsupported:
            return "unsupported";
        case Errc::Unavailable:
            return "unavailable";
        case Errc::Exhausted:
            return "exhausted";
        case Errc::Internal:
            break;
    }
    return "internal";
}

}  // namespace raind::api
