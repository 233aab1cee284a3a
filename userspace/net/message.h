// NetlinkMessage builds one netlink request in a buffer of its own: header, fixed part, attributes,
// nested attributes. What does not fit is remembered and refused when the message is sent, so that
// building needs no checks. A value; one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <libmnl/libmnl.h>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "userspace/common/addr.h"

namespace raind::net {

class NetlinkMessage {
  public:
    // flags beyond NLM_F_REQUEST.
    NetlinkMessage(std::uint16_t type, std::uint16_t flags);
    NetlinkMessage(const NetlinkMessage&) = delete;
    NetlinkMessage& operator=(const NetlinkMessage&) = delete;

    // The fixed part behind the header (ifinfomsg, ifaddrmsg, ...), zeroed; once, before
    // attributes.
    template <typename T>
    T& fixed() {
        static_assert(std::is_trivially_copyable_v<T>);
        return *static_cast<T*>(::mnl_nlmsg_put_extra_header(header(), sizeof(T)));
    }

    NetlinkMessage& put(std::uint16_t type, const void* data, std::size_t size);
    NetlinkMessage& put_u8(std::uint16_t type, std::uint8_t value);
    NetlinkMessage& put_u16(std::uint16_t type, std::uint16_t value);
    NetlinkMessage& put_u32(std::uint16_t type, std::uint32_t value);
    NetlinkMessage& put_text(std::uint16_t type, std::string_view value);  // with its zero byte
    NetlinkMessage& put_mac(std::uint16_t type, const MacAddress& mac);
    // 4 or 16 bytes, as the family of the address has it.
    NetlinkMessage& put_address(std::uint16_t type, const IpAddress& address);

    // Attributes put between begin() and end() lie inside; `skip` bytes of a fixed part come first
    // (the ifinfomsg of a veth peer).
    nlattr* begin(std::uint16_t type, std::size_t skip = 0);
    void end(nlattr* nest);

    nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(buffer_.data()); }
    bool overflown() const { return overflown_; }

  private:
    static constexpr std::size_t kSize = 4096;
    alignas(NLMSG_ALIGNTO) std::array<char, kSize> buffer_{};
    bool overflown_ = false;
};

// Attributes of a received message or nest, by type; absent ones are null. Valid as long as the
// bytes they point into.
class Attributes {
  public:
    static Attributes of_message(const nlmsghdr* message, std::size_t fixed_size);
    static Attributes of_nest(const nlattr* nest);

    const nlattr* find(std::uint16_t type) const;
    bool has(std::uint16_t type) const { return find(type) != nullptr; }
    std::uint32_t u32(std::uint16_t type, std::uint32_t fallback = 0) const;
    std::uint8_t u8(std::uint16_t type, std::uint8_t fallback = 0) const;
    std::string text(std::uint16_t type) const;
    // Zero when it is absent or of another size.
    MacAddress mac(std::uint16_t type) const;
    IpAddress address(std::uint16_t type) const;

  private:
    std::vector<const nlattr*> items_;
};

}  // namespace raind::net
