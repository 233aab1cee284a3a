// The frame decoder against arbitrary bytes, cut at arbitrary places: it may refuse, but what it
// gives does not depend on the cuts and stays within its limit, and what the encoder wrote comes
// back.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "userspace/common/ws_frame.h"

namespace {

using namespace raind;

constexpr std::size_t kLimit = 2048;

struct Decoded {
    std::vector<ws::Message> messages;
    bool failed = false;
};

Decoded decode(std::string_view bytes, std::size_t step) {
    ws::FrameDecoder decoder(ws::Role::Server, kLimit);
    Decoded out;
    for (std::size_t at = 0; at < bytes.size() && !out.failed; at += step) {
        decoder.feed(bytes.substr(at, step));
        while (true) {
            auto message = decoder.next();
            if (!message.has_value()) {
                out.failed = true;
                break;
            }
            if (!*message)
                break;
            if ((*message)->payload.size() > kLimit)
                std::abort();
            if ((*message)->opcode == ws::Opcode::Close)
                ws::parse_close((*message)->payload);
            out.messages.push_back(std::move(**message));
        }
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (bytes.empty())
        return 0;
    const Decoded whole = decode(bytes, bytes.size());
    const Decoded parts = decode(bytes, 1 + static_cast<std::size_t>(data[0]) % 7);
    if (whole.failed != parts.failed || whole.messages.size() != parts.messages.size())
        std::abort();
    for (std::size_t i = 0; i < whole.messages.size(); ++i) {
        if (whole.messages[i].opcode != parts.messages[i].opcode ||
            whole.messages[i].payload != parts.messages[i].payload)
            std::abort();
    }
    std::string frame;
    const std::string_view payload = bytes.substr(0, kLimit);
    ws::append_frame(frame, ws::Role::Client, ws::Opcode::Binary, payload);
    const Decoded back = decode(frame, frame.size());
    if (back.failed || back.messages.size() != 1 || back.messages[0].payload != payload)
        std::abort();
    return 0;
}
