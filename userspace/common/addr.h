// Addresses as the whole product holds them: 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2),
// prefixes over them, and Ethernet addresses. Pure values, any thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "raind/result.h"

namespace raind {

class IpAddress {
  public:
    using Bytes = std::array<std::uint8_t, 16>;

    IpAddress() = default;
    explicit IpAddress(const Bytes& bytes) : bytes_(bytes) {}
    // Host byte order: 0x0aa60001 is 10.166.0.1.
    static IpAddress v4(std::uint32_t host_order);
    static Result<IpAddress> parse(std::string_view text);

    bool is_v4() const;
    bool is_zero() const { return bytes_ == Bytes{}; }
    // 0.0.0.0 or ::, which stand for every address where one is asked for.
    bool is_unspecified() const;
    std::uint32_t v4_host_order() const;
    const Bytes& bytes() const { return bytes_; }
    std::string to_string() const;
    auto operator<=>(const IpAddress&) const = default;

  private:
    Bytes bytes_{};
};

// An address with a prefix length that counts within its own family: /24 of an IPv4 address.
class Cidr {
  public:
    Cidr() = default;
    // Host bits are cleared. A bare address is a /32 or /128.
    static Result<Cidr> parse(std::string_view text);
    static Result<Cidr> make(const IpAddress& address, unsigned length);

    const IpAddress& network() const { return network_; }
    unsigned length() const { return length_; }
    bool is_v4() const { return network_.is_v4(); }
    bool contains(const IpAddress& address) const;
    bool contains(const Cidr& other) const;
    std::string to_string() const;
    auto operator<=>(const Cidr&) const = default;

  private:
    IpAddress network_;
    unsigned length_ = 0;
};

struct MacAddress {
    std::array<std::uint8_t, 6> bytes{};
    static Result<MacAddress> parse(std::string_view text);
    std::string to_string() const;
    auto operator<=>(const MacAddress&) const = default;
};

}  // namespace raind
