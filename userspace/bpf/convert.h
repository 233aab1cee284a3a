// Between the product's values and the kernel ABI's structs.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "raind/abi/maps.h"

#include "userspace/common/addr.h"

namespace raind::bpf {

inline raind_ip to_abi(const IpAddress& address) {
    raind_ip out{};
    std::ranges::copy(address.bytes(), std::begin(out.b));
    return out;
}

inline IpAddress from_abi(const raind_ip& address) {
    IpAddress::Bytes bytes{};
    std::ranges::copy(address.b, bytes.begin());
    return IpAddress(bytes);
}

inline raind_prefix to_abi(const Cidr& prefix) {
    raind_prefix out{};
    const unsigned inside = prefix.is_v4() ? 96 + prefix.length() : prefix.length();
    out.prefixlen = 8 + inside;
    out.family = prefix.is_v4() ? 4 : 6;
    std::ranges::copy(prefix.network().bytes(), std::begin(out.addr));
    return out;
}

// Fixed, zero-terminated text field; cut when too long.
template <std::size_t N>
void copy_text(char (&to)[N], std::string_view text) {
    const std::size_t size = std::min(text.size(), N - 1);
    std::memset(to, 0, N);
    text.copy(to, size);
}

}  // namespace raind::bpf
