// Address management: networks of the runtime subnet, container addresses of both families, MACs.
//
// Pure choices over the records that the store keeps; the caller writes what is returned. A network
// is a /24 of the runtime subnet and the /64 of the same number in the instance's IPv6 prefix; a
// container has the same host octet in both. An address is handed out again only after every
// never-used one of its network, the longest-released first, so that late traffic for a gone
// container does not meet a successor.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "raind/result.h"

#include "userspace/core/model.h"

namespace raind::core {

inline constexpr std::uint32_t kBridgeHostOctet = 254;  // .254 and ::fe
inline constexpr std::uint32_t kDnsPoolNumber = 254;    // 10.166.254.0/24 is the DNS proxy's

// What every network of one instance is cut from.
struct AddressPlan {
    std::uint32_t subnet4 = 0x0aa60000;  // a /16, host byte order: 10.166.0.0
    std::array<std::uint8_t, 5> ula{};   // 40 random bits, drawn at first start and kept
};

// The network number `number`, 0 to 255.
PoolRecord make_pool(const AddressPlan& plan, std::uint32_t number, std::string_view interface,
                     const MacAddress& mac);
// The lowest number that no network has, never the DNS proxy's.
Result<PoolRecord> next_pool(const AddressPlan& plan, std::span<const PoolRecord> pools,
                             std::string_view interface, const MacAddress& mac);

// The whole runtime subnet, and the /48 that the IPv6 networks are in.
Cidr runtime_subnet4(const AddressPlan& plan);
Cidr runtime_subnet6(const AddressPlan& plan);

// The next address of `pool` for `container_id`. `allocations` are those of this network or of all,
// released ones included. A container that holds one already gets the same again, so that a
// repeated operation changes nothing.
Result<AddressAllocation> next_address(const PoolRecord& pool,
                                       std::span<const AddressAllocation> allocations,
                                       std::string_view container_id, WallTime now);
// The record as it is kept from `now` on: assigned to nobody.
AddressAllocation released(AddressAllocation allocation, WallTime now);

// A locally administered unicast MAC from 46 of `random`'s bits. The caller draws again while it is
// in use.
MacAddress local_mac(std::uint64_t random);

}  // namespace raind::core
