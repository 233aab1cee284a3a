#include "droplet/frames.h"

#include "raind/shim_protocol.h"

namespace raind::droplet {

std::string pack_frame(std::uint8_t type, std::string_view payload) {
    std::string out;
    out.reserve(shim::kFrameHeader + payload.size());
    out.push_back(static_cast<char>(type));
    for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<char>(payload.size() >> shift & 0xff));
    out.append(payload);
    return out;
}

Result<std::optional<Frame>> take_frame(std::string& buffer) {
    if (buffer.size() < shim::kFrameHeader)
        return std::optional<Frame>();
    std::size_t length = 0;
    for (std::size_t i = 1; i < shim::kFrameHeader; ++i)
        length = length << 8 | static_cast<unsigned char>(buffer[i]);
    if (length > shim::kFrameLimit)
        return Error(Errc::TooLarge, "frame of " + std::to_string(length) + " bytes");
    if (buffer.size() - shim::kFrameHeader < length)
        return std::optional<Frame>();
    Frame frame{static_cast<std::uint8_t>(buffer[0]), buffer.substr(shim::kFrameHeader, length)};
    buffer.erase(0, shim::kFrameHeader + length);
    return std::optional<Frame>(std::move(frame));
}

}  // namespace raind::droplet
