// Connections that the kernel tracks (conntrack), for those that outlive their container: a UDP
// peer of a published port would go on being translated to an address that has another owner by
// then. Any thread may call.
#pragma once

#include <vector>

#include "raind/result.h"

#include "userspace/common/addr.h"
#include "userspace/common/netns.h"

namespace raind::netfilter {

// Forgets every connection of the namespace in which one of the addresses is the opener or the one
// that answers. Gives their number.
Result<std::size_t> forget_connections(const NetnsRef& netns,
                                       const std::vector<IpAddress>& addresses);

}  // namespace raind::netfilter
