// The form of all JSON answers: {"status","message","data"}; failures add a stable "code" and the
// request id that stands in the audit log. Pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "raind/result.h"

#include "userspace/api/http/types.h"

namespace raind::api {

// Null and empty data are left out.
http::Response success(std::string_view message, const nlohmann::json& data);
http::Response success(std::string_view message);
// "<prefix><message>", the status and code from the error.
http::Response failure(std::string_view prefix, const Error& error);
http::Response failure(int status, std::string_view code, std::string_view message);
// A failure that carries data (policies echo the request).
http::Response failure(std::string_view prefix, const Error& error, const nlohmann::json& data);
http::Response plain(int status, std::string_view text);

// "not_found", "conflict", ...
std::string_view error_code_name(Errc code);

}  // namespace raind::api
