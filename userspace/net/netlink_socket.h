// NetlinkSocket owns one rtnetlink socket. It belongs to the network namespace it was opened in and
// stays there, whatever thread uses it later. Not thread-safe: one owner at a time.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "raind/result.h"

#include "userspace/common/netns.h"
#include "userspace/net/message.h"

struct mnl_socket;

namespace raind::net {

class NetlinkSocket {
  public:
    // `groups`: RTNLGRP_* numbers to listen to.
    static Result<NetlinkSocket> open(const NetnsRef& netns, const std::vector<int>& groups = {});

    // Sends a request and waits for the kernel's acknowledgement; the kernel's own explanation is
    // in the error text, the errno in os_error().
    Status request(NetlinkMessage& message);
    // Sends a request that is answered by messages; each goes to `take`. A dump that the kernel
    // marks as interrupted by a change is repeated: `begin` is called before each run.
    Status dump(NetlinkMessage& message, const std::function<void()>& begin,
                const std::function<void(const nlmsghdr*)>& take);
    // Reads what has arrived on a listening socket, without waiting. ENOBUFS: the kernel dropped
    // notifications, everything must be read anew.
    Status drain(const std::function<void(const nlmsghdr*)>& take);

    int fd() const;

  private:
    struct Close {
        void operator()(mnl_socket* socket) const;
    };
    using Handle = std::unique_ptr<mnl_socket, Close>;
    explicit NetlinkSocket(Handle socket) : socket_(std::move(socket)) {}

    static Result<Handle> open_here(const std::vector<int>& groups);
    Status send(NetlinkMessage& message);
    // One pass over the answers; true when the kernel said that it was interrupted.
    Result<bool> receive(const std::function<void(const nlmsghdr*)>& take);

    Handle socket_;
    unsigned sequence_ = 0;
};

}  // namespace raind::net
