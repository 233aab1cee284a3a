// Addresses, routes, neighbours and forwarding-table entries over rtnetlink. Every function that
// adds replaces what is there, every function that removes takes absence for success.
#pragma once

#include <optional>
#include <vector>

#include "userspace/common/addr.h"
#include "userspace/net/netlink_socket.h"

namespace raind::net {

// An address of an interface with the prefix length of its network: 10.166.0.254/24.
struct InterfaceAddress {
    IpAddress address;
    unsigned length = 0;
    auto operator<=>(const InterfaceAddress&) const = default;
};

// Without duplicate address detection.
Status set_address(NetlinkSocket& socket, int index, const InterfaceAddress& address);
Status remove_address(NetlinkSocket& socket, int index, const InterfaceAddress& address);
// Link-local ones included.
Result<std::vector<InterfaceAddress>> list_addresses(NetlinkSocket& socket, int index);

Status set_default_route(NetlinkSocket& socket, int index, const IpAddress& gateway);
// The interface of the default route of a family in the main table; 0 when there is none.
Result<int> default_route_interface(NetlinkSocket& socket, bool ipv6);

struct Neighbour {
    int index = 0;
    IpAddress address;
    MacAddress mac;
    auto operator<=>(const Neighbour&) const = default;
};
// Permanent: no resolution, no ageing, and no claim of a container changes it.
Status set_neighbour(NetlinkSocket& socket, const Neighbour& neighbour);
Status remove_neighbour(NetlinkSocket& socket, int index, const IpAddress& address);
Result<std::vector<Neighbour>> list_permanent_neighbours(NetlinkSocket& socket, int index);

// A static entry of the bridge that the port belongs to: the address is behind this port.
Status set_forwarding_entry(NetlinkSocket& socket, int port_index, const MacAddress& mac);
struct ForwardingEntry {
    int port = 0;
    MacAddress mac;
    bool is_static = false;  // set by hand and not the port's own address
};
Result<std::vector<ForwardingEntry>> list_forwarding_entries(NetlinkSocket& socket, int bridge);

// What the kernel takes for its own, from every routing table: local, broadcast and anycast
// addresses (class HOST). Prefixes, because "local 127.0.0.0/8" is one entry.
enum class OwnKind { Local, Broadcast, Anycast };
struct OwnAddress {
    Cidr prefix;
    OwnKind kind = OwnKind::Local;
    int index = 0;
    auto operator<=>(const OwnAddress&) const = default;
};
Result<std::vector<OwnAddress>> list_own_addresses(NetlinkSocket& socket);

}  // namespace raind::net
