#include "userspace/net/monitor.h"

#include <array>
#include <chrono>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "userspace/common/log.h"

namespace raind::net {

Result<std::unique_ptr<NetworkMonitor>> NetworkMonitor::start(const NetnsRef& netns,
                                                              Callback callback) {
    RAIND_TRY(auto socket,
              NetlinkSocket::open(netns, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                                          RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE}));
    UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake)
        return os_error("eventfd");
    return std::unique_ptr<NetworkMonitor>(
        new NetworkMonitor(std::move(socket), std::move(wake), std::move(callback)));
}

NetworkMonitor::NetworkMonitor(NetlinkSocket socket, UniqueFd wake, Callback callback)
    : socket_(std::move(socket)),
      wake_(std::move(wake)),
      callback_(std::move(callback)),
      thread_([this](std::stop_token stop) { run(std::move(stop)); }) {
}

NetworkMonitor::~NetworkMonitor() {
    thread_.request_stop();
    const std::uint64_t one = 1;
    static_cast<void>(::write(wake_.get(), &one, sizeof(one)));
}

NetworkChange NetworkMonitor::read() {
    NetworkChange change;
    auto done = socket_.drain([&](const nlmsghdr* message) {
        switch (message->nlmsg_type) {
            case RTM_NEWADDR:
            case RTM_DELADDR:
            case RTM_NEWROUTE:
            case RTM_DELROUTE:
                change.addresses = true;
                break;
            case RTM_NEWLINK:
                change.links = true;
                break;
            case RTM_DELLINK: {
                change.links = true;
                // A port that leaves its bridge is announced by the same type, family AF_BRIDGE.
                const auto* info = static_cast<const ifinfomsg*>(::mnl_nlmsg_get_payload(message));
                if (info->ifi_family == AF_UNSPEC)
                    change.removed_links.push_back(
                        Attributes::of_message(message, sizeof(ifinfomsg)).text(IFLA_IFNAME));
                break;
            }
            default:
                break;
        }
    });
    if (!done) {
        if (done.error().os_error() != ENOBUFS)
            log::warning("network notifications: {}", done.error().message());
        change.addresses = change.links = change.missed = true;
    }
    return change;
}

void NetworkMonitor::run(std::stop_token stop) {
    while (!stop.stop_requested()) {
        std::array<pollfd, 2> items{{{socket_.fd(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
        if (::poll(items.data(), items.size(), -1) < 0 && errno != EINTR)
            return log::error("network notifications: poll: errno {}", errno);
        if (stop.stop_requested() || items[0].revents == 0)
            continue;
        const NetworkChange change = read();
        if (!change.addresses && !change.links)
            continue;
        try {
            callback_(change);
        } catch (const std::exception& failure) {
            log::error("network notifications: {}", failure.what());
        }
    }
}

}  // namespace raind::net
