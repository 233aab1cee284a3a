#include "userspace/image/address_policy.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <ifaddrs.h>
#include <memory>
#include <netinet/in.h>

namespace raind::image {

namespace {

struct IfaddrsFree {
    void operator()(ifaddrs* list) const { ::freeifaddrs(list); }
};

}  // namespace

std::optional<IpAddress> address_of(const sockaddr& address) {
    if (address.sa_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &address, sizeof in);
        return IpAddress::v4(ntohl(in.sin_addr.s_addr));
    }
    if (address.sa_family == AF_INET6) {
        sockaddr_in6 in6{};
        std::memcpy(&in6, &address, sizeof in6);
        IpAddress::Bytes bytes{};
        std::copy_n(std::begin(in6.sin6_addr.s6_addr), bytes.size(), bytes.begin());
        return IpAddress(bytes);
    }
    return std::nullopt;
}

bool is_loopback(const IpAddress& address) {
    if (address.is_v4())
        return (address.v4_host_order() >> 24U) == 127;
    IpAddress::Bytes one{};
    one.back() = 1;
    return address.bytes() == one;
}

bool names_loopback(const std::string& host) {
    if (host == "localhost")
        return true;
    const auto address = IpAddress::parse(host);
    return address && is_loopback(*address);
}

Result<std::set<IpAddress>> own_addresses() {
    ifaddrs* raw = nullptr;
    if (::getifaddrs(&raw) != 0)
        return os_error("list own addresses");
    const std::unique_ptr<ifaddrs, IfaddrsFree> list(raw);
    std::set<IpAddress> addresses;
    for (const ifaddrs* at = list.get(); at != nullptr; at = at->ifa_next) {
        if (at->ifa_addr == nullptr)
            continue;
        if (const auto address = address_of(*at->ifa_addr))
            addresses.insert(*address);
    }
    return addresses;
}

bool is_local(const IpAddress& address, const std::set<IpAddress>& own) {
    if (is_loopback(address) || address.is_zero() || own.contains(address))
        return true;
    if (address.is_v4())
        return (address.v4_host_order() >> 24U) == 0 || (address.v4_host_order() >> 16U) == 0xa9fe;
    return address.bytes()[0] == 0xfe && (address.bytes()[1] & 0xc0U) == 0x80;
}

}  // namespace raind::image
