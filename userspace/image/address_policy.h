// Which addresses a connection to a registry may go to.
//
// Checked on the address that is really dialled, after name resolution, so that no name can lead
// elsewhere. Pure but for own_addresses(), any thread.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <sys/socket.h>

#include "raind/result.h"

#include "userspace/common/addr.h"

namespace raind::image {

// Nothing for other families than IPv4 and IPv6.
std::optional<IpAddress> address_of(const sockaddr& address);

// 127.0.0.0/8 and ::1.
bool is_loopback(const IpAddress& address);
// "localhost" or an address of loopback, written out.
bool names_loopback(const std::string& host);

// The addresses of this machine's interfaces.
Result<std::set<IpAddress>> own_addresses();

// Loopback, unspecified, link-local (where cloud metadata lives) or one of `own`.
bool is_local(const IpAddress& address, const std::set<IpAddress>& own);

}  // namespace raind::image
