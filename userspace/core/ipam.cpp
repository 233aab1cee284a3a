#include "userspace/core/ipam.h"

#include <algorithm>
#include <fmt/format.h>

namespace raind::core {

namespace {

constexpr std::uint32_t kPoolNumbers = 256;
constexpr std::uint32_t kFirstHostOctet = 1;   // .0 is the network
constexpr std::uint32_t kLastHostOctet = 253;  // .254 is the bridge, .255 broadcast

// fd + 40 random bits + number of the network + host: numbers are the IPv4 octets in hexadecimal.
IpAddress address6(const AddressPlan& plan, std::uint32_t number, std::uint32_t host) {
    IpAddress::Bytes bytes{};
    bytes[0] = 0xfd;
    std::ranges::copy(plan.ula, bytes.begin() + 1);
    bytes[7] = static_cast<std::uint8_t>(number);
    bytes[15] = static_cast<std::uint8_t>(host);
    return IpAddress(bytes);
}

IpAddress with_host(const IpAddress& network6, std::uint32_t host) {
    IpAddress::Bytes bytes = network6.bytes();
    bytes[15] = static_cast<std::uint8_t>(host);
    return IpAddress(bytes);
}

// Only with lengths that fit the family, so it cannot fail.
Cidr prefix(const IpAddress& address, unsigned length) {
    return Cidr::make(address, length).value();
}

const AddressAllocation* find_address(std::span<const AddressAllocation> allocations,
                                      const IpAddress& ip4) {
    const auto it = std::ranges::find(allocations, ip4, &AddressAllocation::ip4);
    return it == allocations.end() ? nullptr : &*it;
}

// The address to use, or zero: the first without a record, else the longest-released.
IpAddress choose_address(const PoolRecord& pool, std::span<const AddressAllocation> allocations) {
    const std::uint32_t base = pool.subnet4.network().v4_host_order();
    const AddressAllocation* oldest = nullptr;
    for (std::uint32_t host = kFirstHostOctet; host <= kLastHostOctet; ++host) {
        const IpAddress candidate = IpAddress::v4(base + host);
        const AddressAllocation* record = find_address(allocations, candidate);
        if (record == nullptr)
            return candidate;
        if (!record->container_id.empty())
            continue;
        if (oldest == nullptr || record->released_at < oldest->released_at)
            oldest = record;
    }
    return oldest == nullptr ? IpAddress() : oldest->ip4;
}

}  // namespace

PoolRecord make_pool(const AddressPlan& plan, std::uint32_t number, std::string_view interface,
                     const MacAddress& mac) {
    const std::uint32_t base4 = plan.subnet4 + (number << 8);
    PoolRecord pool;
    pool.interface = interface;
    pool.subnet4 = prefix(IpAddress::v4(base4), 24);
    pool.gateway4 = IpAddress::v4(base4 + kBridgeHostOctet);
    pool.subnet6 = prefix(address6(plan, number, 0), 64);
    pool.gateway6 = address6(plan, number, kBridgeHostOctet);
    pool.mac = mac;
    pool.number = number;
    return pool;
}

Result<PoolRecord> next_pool(const AddressPlan& plan, std::span<const PoolRecord> pools,
                             std::string_view interface, const MacAddress& mac) {
    if (std::ranges::find(pools, interface, &PoolRecord::interface) != pools.end())
        return Error(Errc::AlreadyExists, fmt::format("network {} exists already", interface));
    for (std::uint32_t number = 0; number < kPoolNumbers; ++number) {
        if (number == kDnsPoolNumber)
            continue;
        if (std::ranges::find(pools, number, &PoolRecord::number) == pools.end())
            return make_pool(plan, number, interface, mac);
    }
    return Error(Errc::Exhausted, "no /24 of the runtime subnet is left for a network");
}

Cidr runtime_subnet4(const AddressPlan& plan) {
    return prefix(IpAddress::v4(plan.subnet4), 16);
}

Cidr runtime_subnet6(const AddressPlan& plan) {
    return prefix(address6(plan, 0, 0), 48);
}

Result<AddressAllocation> next_address(const PoolRecord& pool,
                                       std::span<const AddressAllocation> allocations,
                                       std::string_view container_id, WallTime now) {
    const auto held =
        std::ranges::find(allocations, container_id, &AddressAllocation::container_id);
    if (held != allocations.end()) {
        if (held->interface == pool.interface)
            return *held;
        return Error(Errc::Conflict, fmt::format("container {} has an address of network {}",
                                                 container_id, held->interface));
    }
    const IpAddress ip4 = choose_address(pool, allocations);
    if (ip4.is_zero())
        return Error(Errc::Exhausted, fmt::format("no address of {} is left", pool.interface));
    AddressAllocation allocation;
    allocation.interface = pool.interface;
    allocation.ip4 = ip4;
    allocation.ip6 = with_host(pool.subnet6.network(), ip4.v4_host_order() & 0xff);
    allocation.container_id = container_id;
    allocation.assigned_at = now;
    return allocation;
}

AddressAllocation released(AddressAllocation allocation, WallTime now) {
    allocation.container_id.clear();
    allocation.released_at = now;
    return allocation;
}

MacAddress local_mac(std::uint64_t random) {
    MacAddress mac;
    for (std::uint8_t& byte : mac.bytes) {
        byte = static_cast<std::uint8_t>(random & 0xff);
        random >>= 8;
    }
    // Bit 1 of the first octet: locally administered; bit 0 clear: one receiver.
    mac.bytes[0] = static_cast<std::uint8_t>((mac.bytes[0] & 0xfc) | 0x02);
    return mac;
}

}  // namespace raind::core
