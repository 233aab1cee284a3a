// PortPublisher: the published ports of the attached containers of one container network, and the
// sockets that keep them from the host's own processes. Not thread-safe: its owner serialises.
//
// A port is taken from the host by a socket that is bound to it and accepts nothing: the kernel
// gives it to nobody else meanwhile, and connections that are not translated (to ::1) are refused
// at once. The sockets end with the daemon; the translation goes on without them.
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
    // The same, but what can be had is kept. The error tells the first that cannot.
    Status hold(const NetnsRef& netns, const core::ContainerRecord& container);
    // Tries again what could not be had; true: something was missing, and is not any more.
    bool hold_missing(const NetnsRef& netns);
    // Ports that are published and not held, each with its container and the reason.
    std::vector<std::string> missing() const;
    // Counts the container's ports as published, whether the sockets could be had or not.
    void publish(const core::ContainerRecord& container);
    // True: it had some.
    bool withdraw(const std::string& id);

    // In no order that means something, but always in the same.
    std::vector<core::PublishedPort> published() const;
    // A port of 127.0.0.1 is among them.
    bool on_loopback() const;

  private:
    struct Hold {
        core::PublishedPort port;
        UniqueFd socket{};
        bool held = false;
        std::string problem{};
    };
    struct Entry {
        std::vector<core::PublishedPort> ports;
        std::vector<Hold> holds;
    };
    static Status take_missing(const NetnsRef& netns, std::vector<Hold>& holds);

    std::map<std::string, Entry> entries_;
};

// One for each family that the mapping covers.
std::vector<core::PublishedPort> published_ports(const core::ContainerRecord& container);

}  // namespace raind::runtime
