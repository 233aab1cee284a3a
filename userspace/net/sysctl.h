// Network sysctls of one namespace, through a /proc that is verified to be procfs and opened
// without following links. Values are single words. Any thread may call.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "userspace/common/netns.h"

namespace raind::net {

struct Sysctl {
    std::string path;   // below /proc/sys/net: "ipv4/ip_forward"
    std::string value;  // wanted
    // A kernel without IPv6 (or a namespace where it is off) has no such file; that is no error
    // then.
    bool may_be_absent = false;
};

Result<std::string> read_sysctl(const NetnsRef& netns, const std::string& path);
// Writes what differs, in order, and gives the former values of what it wrote, so that they can be
// put back. When one fails, those written before it are put back at once.
Result<std::vector<Sysctl>> write_sysctls(const NetnsRef& netns, const std::vector<Sysctl>& wanted);

}  // namespace raind::net
