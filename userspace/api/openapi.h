// The OpenAPI description of the management API, made from the route table.
#pragma once

#include <string>

namespace raind::api {

std::string openapi_text();

}  // namespace raind::api
