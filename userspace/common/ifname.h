// Names of network interfaces, before they go into a request of netlink or a rule of netfilter.
#pragma once

#include <string_view>

#include "raind/result.h"

namespace raind {

// 1 to 15 bytes of printable ASCII without '/', ':', white space, quotes, backslash and '*' (which
// the rules of netfilter take for a pattern), not "." or "..".
Status check_interface_name(std::string_view name);

}  // namespace raind
