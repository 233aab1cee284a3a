// Network owns the container network of one namespace: its bridges and the endpoints on them. It
// holds one netlink socket in that namespace. Thread-safe; calls run one after the other.
//
// An endpoint is made in steps, so that the caller puts the programs and the maps between them and
// no frame passes before (datapath design, attach):
//   create_endpoint()   veth, both ends down, not on a bridge     -> the caller attaches and
//   publishes enslave_endpoint()  port flags, forwarding entry, neighbours; still down
//   connect_endpoint()  peer into the container, configured there; the host end goes up last; when
//                       it returns the first packet of the container is not lost
// and ends by down_endpoint(), the caller's clean-up, remove_endpoint(). Each step may be repeated.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "userspace/net/address.h"
#include "userspace/net/link.h"
#include "userspace/net/sysctl.h"

namespace raind::net {

struct BridgeSpec {
    std::string name;
    MacAddress mac;
    InterfaceAddress ip4;
    std::optional<InterfaceAddress> ip6;
    std::uint32_t mtu = kDefaultMtu;
};

struct BridgeState {
    std::uint32_t ifindex = 0;
    MacAddress mac;
    bool ip6 = false;  // false: asked for, but this kernel has no IPv6
};

struct EndpointPort {
    std::string interface;  // host end: "rd_" and the id of the container
    std::string bridge;
    MacAddress mac;  // of the container's end
    MacAddress gateway_mac;
    InterfaceAddress ip4;
    std::optional<InterfaceAddress> ip6;
    IpAddress gateway4;
    std::optional<IpAddress> gateway6;
    std::uint32_t mtu = kDefaultMtu;
    std::string container_interface = "eth0";
    std::vector<Sysctl> sysctls;  // more of them, inside the container
};

struct ForwardingState {
    bool ip4 = false;
    bool ip6 = false;
};

class Network {
  public:
    static Result<std::unique_ptr<Network>> open(const NetnsRef& netns);

    const NetnsRef& netns() const { return netns_; }

    // Makes the bridge, or corrects the one that is there, and brings it up.
    Result<BridgeState> ensure_bridge(const BridgeSpec& spec);
    // Conflict while ports are on it; absent is success.
    Status remove_bridge(const std::string& name);

    // Gives the index of the host end. A half-made one of an earlier attempt is made anew; one that
    // is up already is in use: Conflict.
    Result<std::uint32_t> create_endpoint(const EndpointPort& port);
    Status enslave_endpoint(const EndpointPort& port);
    Status connect_endpoint(const EndpointPort& port, const NetnsRef& container);
    Status down_endpoint(const std::string& interface);
    // With the neighbours of its addresses.
    Status remove_endpoint(const EndpointPort& port);
    // The differences from what the three steps leave, one a line; empty when all is as it was.
    // enslave_endpoint() puts them right. NotFound: the interface is gone.
    Result<std::vector<std::string>> verify_endpoint(const EndpointPort& port);

    Result<std::vector<Link>> links();
    Result<std::vector<Link>> links_by_prefix(const std::string& prefix);
    Result<std::optional<Link>> link(const std::string& name);
    Status delete_link(const std::string& name);
    // Removes permanent neighbours of a bridge that belong to none of the given addresses.
    Status keep_neighbours(const std::string& bridge, const std::vector<IpAddress>& addresses);
    // Every local, broadcast and anycast address of the namespace.
    Result<std::vector<OwnAddress>> own_addresses();

    Result<ForwardingState> forwarding();
    // The loopback of a namespace that is ours alone: 127.0.0.1 and the own addresses need it.
    Status bring_loopback_up();
    // Forwarding for both families in a namespace that is ours alone.
    Result<std::vector<Sysctl>> enable_forwarding_own();
    // The same on a host that others use too: uplinks that accept router advertisements go on doing
    // so. Gives the former values, to be put back by write_sysctls().
    Result<std::vector<Sysctl>> enable_forwarding_shared();

  private:
    Network(NetnsRef netns, NetlinkSocket socket)
        : netns_(std::move(netns)), socket_(std::move(socket)) {}

    Status correct_bridge(const BridgeSpec& spec, const Link& link);
    Status set_bridge_addresses(const BridgeSpec& spec, int index, bool ip6);
    Status move_peer(const EndpointPort& port, const NetnsRef& container);
    Status wait_until_running(const EndpointPort& port, const NetnsRef& container);
    Status configure_inside(const EndpointPort& port, const NetnsRef& container);

    NetnsRef netns_;
    std::mutex mutex_;  // guards socket_ and the order of the steps
    NetlinkSocket socket_;
};

// The name of the container's end while it is still beside the host end.
std::string peer_name_of(const std::string& interface);

}  // namespace raind::net
