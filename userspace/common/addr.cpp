#include "userspace/common/addr.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <fmt/format.h>

namespace raind {
namespace {

constexpr std::array<std::uint8_t, 12> kV4Prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

Error bad(std::string_view kind, std::string_view text) {
    return Error(Errc::InvalidArgument, fmt::format("invalid {}: \"{}\"", kind, text));
}

}  // namespace

IpAddress IpAddress::v4(std::uint32_t host_order) {
    Bytes bytes{};
    std::copy(kV4Prefix.begin(), kV4Prefix.end(), bytes.begin());
    for (unsigned i = 0; i < 4; ++i)
        bytes[12 + i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
    return IpAddress(bytes);
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
    const std::string copy(text);
    in_addr four{};
    if (copy.size() == text.size() && inet_pton(AF_INET, copy.c_str(), &four) == 1)
        return v4(ntohl(four.s_addr));
    in6_addr six{};
    if (inet_pton(AF_INET6, copy.c_str(), &six) != 1)
        return bad("address", text);
    Bytes bytes{};
    std::memcpy(bytes.data(), &six, bytes.size());
    return IpAddress(bytes);
}

bool IpAddress::is_v4() const {
    return std::equal(kV4Prefix.begin(), kV4Prefix.end(), bytes_.begin());
}

bool IpAddress::is_unspecified() const {
    return is_zero() || *this == v4(0);
}

std::uint32_t IpAddress::v4_host_order() const {
    std::uint32_t value = 0;
    for (unsigned i = 12; i < 16; ++i)
        value = value << 8 | bytes_[i];
    return value;
}

std::string IpAddress::to_string() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (is_v4())
        inet_ntop(AF_INET, bytes_.data() + 12, text.data(), text.size());
    else
        inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
    return text.data();
}

Result<Cidr> Cidr::make(const IpAddress& address, unsigned length) {
    const bool four = address.is_v4();
    if (length > (four ? 32U : 128U))
        return bad("prefix length", std::to_string(length));
    IpAddress::Bytes bytes = address.bytes();
    const unsigned keep = length + (four ? 96U : 0U);
    for (unsigned i = 0; i < 16; ++i) {
        const unsigned bits = keep <= i * 8 ? 0 : std::min(8U, keep - i * 8);
        bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00U >> bits));
    }
    Cidr cidr;
    cidr.network_ = IpAddress(bytes);
    // A v4 prefix keeps its family even when all of its own bits are zero.
    cidr.length_ = length;
    return cidr;
}

Result<Cidr> Cidr::parse(std::string_view text) {
    const auto slash = text.find('/');
    RAIND_TRY(const IpAddress address, IpAddress::parse(text.substr(0, slash)));
    unsigned length = address.is_v4() ? 32 : 128;
    if (slash != std::string_view::npos) {
        const std::string_view digits = text.substr(slash + 1);
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), length);
        if (error != std::errc() || end != digits.data() + digits.size() || digits.empty())
            return bad("prefix length", digits);
    }
    return make(address, length);
}

bool Cidr::contains(const IpAddress& address) const {
    if (address.is_v4() != is_v4())
        return false;
    const auto other = make(address, length_);
    return other.has_value() && other->network_ == network_;
}

bool Cidr::contains(const Cidr& other) const {
    return other.length_ >= length_ && contains(other.network_);
}

std::string Cidr::to_string() const {
    return fmt::format("{}/{}", network_.to_string(), length_);
}

Result<MacAddress> MacAddress::parse(std::string_view text) {
    MacAddress mac;
    if (text.size() != 17)
        return bad("MAC address", text);
    for (unsigned i = 0; i < 6; ++i) {
        const char* first = text.data() + i * 3;
        const auto [end, error] = std::from_chars(first, first + 2, mac.bytes[i], 16);
        if (error != std::errc() || end != first + 2 || (i < 5 && *end != ':'))
            return bad("MAC address", text);
    }
    return mac;
}

std::string MacAddress::to_string() const {
    return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2],
                       bytes[3], bytes[4], bytes[5]);
}

}  // namespace raind
