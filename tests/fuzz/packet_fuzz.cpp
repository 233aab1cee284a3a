// The evaluator's parser against arbitrary frames: nothing is read behind the frame (the address
// sanitizer sees it), and what is accepted lies within it.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "userspace/core/packet.h"

namespace {

using namespace raind;
using core::Packet;

void require(bool holds) {
    if (!holds)
        std::abort();
}

void check(std::span<const std::uint8_t> frame) {
    Packet packet;
    if (core::parse_ethernet(frame, packet) != RAIND_R_NONE)
        return;
    if (packet.ethertype != core::kEtherIp4 && packet.ethertype != core::kEtherIp6)
        return;
    if (core::parse_ip(frame, packet) != RAIND_R_NONE)
        return;
    require(packet.family == (packet.ethertype == core::kEtherIp4 ? 4 : 6));
    require(packet.transport >= core::kEthernetSize + (packet.family == 4 ? 20U : 40U));
    require(packet.transport <= packet.end && packet.end <= frame.size());
    if (packet.protocol == core::kProtoTcp)
        require(packet.end - packet.transport >= 20);
    if (packet.protocol == core::kProtoUdp)
        require(packet.end - packet.transport >= 8);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // An exact copy, so that the byte behind the frame is guarded.
    std::vector<std::uint8_t> frame(data, data + size);
    check(frame);
    if (frame.size() < core::kEthernetSize)
        return 0;
    for (const std::uint16_t type : {core::kEtherIp4, core::kEtherIp6}) {
        frame[12] = static_cast<std::uint8_t>(type >> 8);
        frame[13] = static_cast<std::uint8_t>(type);
        check(frame);
    }
    return 0;
}
