// PortPublisher: the published ports of the attached containers of one container network, and the
// sockets that keep them from the host's own processes. Not thread-safe: its owner serialises.
//
// A port is taken from the host by a socket that is bound to it and never listens: the kernel gives
// it to nobody else meanwhile, and connections that are not translated (to ::1) are refused at
// once. The sockets end with the daemon; the translation goes on without them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/common/netns.h"
#include "userspace/core/backend.h"
#include "userspace/core/model.h"

namespace raind::runtime {

class PortPublisher {
  public:
    // Takes the container's ports from the host. Conflict when a process of the host has one of
    // them, or an address is not the host's; nothing is kept then. Repeating it is success.
    Status reserve(const NetnsRef& netns, const core::ContainerRecord& container);
    // Counts the container's ports as published, whether the sockets could be had or not.
    void publish(const core::ContainerRecord& container);
    // True: it had some.
    bool withdraw(const std::string& id);

    // In no order that means something, but always in the same.
    std::vector<core::PublishedPort> published() const;
    // A port of 127.0.0.1 is among them.
    bool on_loopback() const;

  private:
    struct Entry {
        std::vector<core::PublishedPort> ports;
        std::vector<UniqueFd> sockets;
    };
    std::map<std::string, Entry> entries_;
};

// One for each family that the mapping covers.
std::vector<core::PublishedPort> published_ports(const core::ContainerRecord& container);

}  // namespace raind::runtime
