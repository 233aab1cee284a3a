// NetworkMonitor tells what changed in a namespace: links, addresses, local routes. It owns one
// listening socket and one thread, on which the callback runs; the destructor stops and joins it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "userspace/net/netlink_socket.h"

namespace raind::net {

// Everything that one read brought. After `missed` some changes are unknown: read all anew.
struct NetworkChange {
    bool addresses = false;  // own addresses may have changed
    bool links = false;
    bool missed = false;
    std::vector<std::string> removed_links;
};

class NetworkMonitor {
  public:
    using Callback = std::function<void(const NetworkChange&)>;
    // The callback must not destroy the monitor.
    static Result<std::unique_ptr<NetworkMonitor>> start(const NetnsRef& netns, Callback callback);
    ~NetworkMonitor();
    NetworkMonitor(const NetworkMonitor&) = delete;
    NetworkMonitor& operator=(const NetworkMonitor&) = delete;

  private:
    NetworkMonitor(NetlinkSocket socket, UniqueFd wake, Callback callback);
    void run(std::stop_token stop);
    NetworkChange read();

    NetlinkSocket socket_;
    UniqueFd wake_;
    Callback callback_;
    std::jthread thread_;  // last: starts when the rest is there
};

}  // namespace raind::net
