// Carries a running exec between its websocket client (raind.streams.v1) and the shim's stream.
#pragma once

#include <stop_token>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/api/http/websocket.h"

namespace raind::api {

// Returns when either side has ended, the exit status included. The caller closes the websocket.
Status bridge_exec(http::WebSocket& socket, UniqueFd shim, const std::stop_token& stop);

}  // namespace raind::api
