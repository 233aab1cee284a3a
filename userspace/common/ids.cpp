#include "userspace/common/ids.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <fmt/format.h>

#include "userspace/common/clock.h"
#include "userspace/common/crypto.h"

namespace raind {
namespace {

constexpr std::string_view kCrockford = "0123456789abcdefghjkmnpqrstvwxyz";

}  // namespace

std::string make_ulid() {
    std::string text(kUlidLength, '0');
    auto milliseconds = static_cast<std::uint64_t>(wall_now().ns / 1'000'000);
    for (int i = 9; i >= 0; --i, milliseconds >>= 5)
        text[static_cast<std::size_t>(i)] = kCrockford[milliseconds & 31];
    std::array<std::uint8_t, 16> random{};
    random_bytes(random);
    for (std::size_t i = 0; i < 16; ++i)
        text[10 + i] = kCrockford[random[i] & 31];
    return text;
}

bool is_ulid(std::string_view text) {
    return text.size() == kUlidLength && text[0] <= '7' && std::ranges::all_of(text, [](char c) {
               return kCrockford.find(c) != std::string_view::npos;
           });
}

std::string short_id(std::string_view ulid) {
    return std::string(ulid.substr(0, kShortIdLength));
}

std::string make_uuid() {
    std::array<std::uint8_t, 16> b{};
    random_bytes(b);
    b[6] = static_cast<std::uint8_t>((b[6] & 0x0f) | 0x40);
    b[8] = static_cast<std::uint8_t>((b[8] & 0x3f) | 0x80);
    const std::string hex = to_hex(b);
    return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                       hex.substr(16, 4), hex.substr(20));
}

}  // namespace raind
