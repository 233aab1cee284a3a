// Links over rtnetlink: bridges, veth pairs, bridge ports. Free functions on the socket of the
// namespace that is meant; the thread that owns the socket calls them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/net/netlink_socket.h"

namespace raind::net {

inline constexpr std::uint32_t kDefaultMtu = 1500;

enum class OnOff { Off, On };

// The flags of a bridge port that carries a container (kPortOfContainer below is what ours have).
struct PortFlags {
    bool isolated = false;      // no bridge forwarding to other isolated ports
    bool learning = true;       // source addresses enter the forwarding table
    bool unicast_flood = true;  // frames for unknown addresses leave here
    bool multicast_flood = true;
    bool broadcast_flood = true;
    bool neigh_suppress = false;
    bool locked = false;  // only frames from addresses with an entry on this port come in
    std::uint8_t multicast_router = 1;
    bool operator==(const PortFlags&) const = default;
};

// Between two isolated ports the bridge forwards nothing; it learns nothing and floods nothing, and
// a frame with another source address than the static entry's does not come in at all. So the
// programs on the port are necessary for traffic, not only sufficient for filtering.
inline constexpr PortFlags kPortOfContainer{.isolated = true,
                                            .learning = false,
                                            .unicast_flood = false,
                                            .multicast_flood = false,
                                            .broadcast_flood = false,
                                            .neigh_suppress = false,
                                            .locked = true,
                                            .multicast_router = 0};

struct Link {
    int index = 0;
    std::string name;
    std::string kind;  // bridge, veth, ...; empty for physical interfaces and lo
    MacAddress mac;
    std::uint32_t mtu = 0;
    bool up = false;       // administratively
    bool running = false;  // up, with a carrier, and its queue set in motion
    bool loopback = false;
    int master = 0;                   // index of the bridge, 0: none
    int peer = 0;                     // veth: index of the other end
    bool peer_elsewhere = false;      // the other end is in another namespace
    bool forwarding = false;          // of a bridge port: it takes part
    std::optional<PortFlags> port;    // of a bridge port
    bool multicast_snooping = false;  // of a bridge, with the two below
    bool vlan_filtering = false;
    bool spanning_tree = false;
};

Result<std::vector<Link>> list_links(NetlinkSocket& socket);
// Nothing when there is none.
Result<std::optional<Link>> find_link(NetlinkSocket& socket, const std::string& name);
Result<Link> get_link(NetlinkSocket& socket, const std::string& name);  // NotFound
Result<std::vector<Link>> find_links_by_prefix(NetlinkSocket& socket, std::string_view prefix);

struct BridgeLink {
    std::string name;
    MacAddress mac;
    std::uint32_t mtu = kDefaultMtu;
};
// Down and without spanning tree; the MAC is its own from the start. Snooping and VLANs are
// switched off by Network::ensure_bridge(), because a kernel built without them refuses to hear of
// them.
Status create_bridge(NetlinkSocket& socket, const BridgeLink& bridge);

struct VethLink {
    std::string name;
    std::string peer_name;
    MacAddress peer_mac;
    std::uint32_t mtu = kDefaultMtu;  // of both ends
};
// Both ends down, in the namespace of the socket.
Status create_veth(NetlinkSocket& socket, const VethLink& veth);

// What is set changes.
struct LinkChange {
    std::optional<OnOff> up;
    std::optional<std::string> name;
    std::optional<MacAddress> mac;
    std::optional<std::uint32_t> mtu;
    std::optional<int> master;  // 0: leaves its bridge
    std::optional<int> netns_fd;
    std::optional<OnOff> ip6_link_local;  // the address that the kernel makes by itself
};
Status change_link(NetlinkSocket& socket, int index, const LinkChange& change);
Status set_port_flags(NetlinkSocket& socket, int index, const PortFlags& flags);
// Absent is success.
Status delete_link(NetlinkSocket& socket, const std::string& name);
Status delete_link(NetlinkSocket& socket, int index);

}  // namespace raind::net
