// Frames of shim.sock: packing, and incremental reading from a byte buffer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "raind/result.h"

namespace raind::droplet {

struct Frame {
    std::uint8_t type = 0;
    std::string payload;
};

std::string pack_frame(std::uint8_t type, std::string_view payload);
// Takes the first whole frame out of the buffer; nothing when it is not complete yet. An error when
// it is longer than the protocol allows.
Result<std::optional<Frame>> take_frame(std::string& buffer);

}  // namespace raind::droplet
