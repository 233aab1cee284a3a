#include "userspace/net/message.h"

#include <algorithm>

namespace raind::net {

NetlinkMessage::NetlinkMessage(std::uint16_t type, std::uint16_t flags) {
    nlmsghdr* head = ::mnl_nlmsg_put_header(buffer_.data());
    head->nlmsg_type = type;
    head->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
}

NetlinkMessage& NetlinkMessage::put(std::uint16_t type, const void* data, std::size_t size) {
    if (!::mnl_attr_put_check(header(), kSize, type, size, data))
        overflown_ = true;
    return *this;
}

NetlinkMessage& NetlinkMessage::put_u8(std::uint16_t type, std::uint8_t value) {
    return put(type, &value, sizeof(value));
}

NetlinkMessage& NetlinkMessage::put_u16(std::uint16_t type, std::uint16_t value) {
    return put(type, &value, sizeof(value));
}

NetlinkMessage& NetlinkMessage::put_u32(std::uint16_t type, std::uint32_t value) {
    return put(type, &value, sizeof(value));
}

NetlinkMessage& NetlinkMessage::put_text(std::uint16_t type, std::string_view value) {
    const std::string text(value);
    return put(type, text.c_str(), text.size() + 1);
}

NetlinkMessage& NetlinkMessage::put_mac(std::uint16_t type, const MacAddress& mac) {
    return put(type, mac.bytes.data(), mac.bytes.size());
}

NetlinkMessage& NetlinkMessage::put_address(std::uint16_t type, const IpAddress& address) {
    const auto& bytes = address.bytes();
    if (address.is_v4())
        return put(type, bytes.data() + 12, 4);
    return put(type, bytes.data(), bytes.size());
}

nlattr* NetlinkMessage::begin(std::uint16_t type, std::size_t skip) {
    nlattr* nest = ::mnl_attr_nest_start_check(header(), kSize, type);
    if (nest == nullptr || header()->nlmsg_len + skip > kSize) {
        overflown_ = true;
        return nullptr;
    }
    if (skip > 0)
        ::mnl_nlmsg_put_extra_header(header(), skip);
    return nest;
}

void NetlinkMessage::end(nlattr* nest) {
    if (nest != nullptr)
        ::mnl_attr_nest_end(header(), nest);
}

Attributes Attributes::of_message(const nlmsghdr* message, std::size_t fixed_size) {
    Attributes result;
    if (message->nlmsg_len < NLMSG_HDRLEN + MNL_ALIGN(fixed_size))
        return result;
    const auto* attr =
        static_cast<const nlattr*>(::mnl_nlmsg_get_payload_offset(message, fixed_size));
    const auto* tail = static_cast<const char*>(::mnl_nlmsg_get_payload_tail(message));
    while (::mnl_attr_ok(attr, static_cast<int>(tail - reinterpret_cast<const char*>(attr)))) {
        result.items_.push_back(attr);
        attr = ::mnl_attr_next(attr);
    }
    return result;
}

Attributes Attributes::of_nest(const nlattr* nest) {
    Attributes result;
    if (nest == nullptr)
        return result;
    const auto* attr = static_cast<const nlattr*>(::mnl_attr_get_payload(nest));
    const char* tail = reinterpret_cast<const char*>(attr) + ::mnl_attr_get_payload_len(nest);
    while (::mnl_attr_ok(attr, static_cast<int>(tail - reinterpret_cast<const char*>(attr)))) {
        result.items_.push_back(attr);
        attr = ::mnl_attr_next(attr);
    }
    return result;
}

const nlattr* Attributes::find(std::uint16_t type) const {
    const auto item = std::find_if(items_.begin(), items_.end(), [type](const nlattr* attr) {
        return ::mnl_attr_get_type(attr) == type;
    });
    return item == items_.end() ? nullptr : *item;
}

std::uint32_t Attributes::u32(std::uint16_t type, std::uint32_t fallback) const {
    const nlattr* attr = find(type);
    return attr != nullptr && ::mnl_attr_get_payload_len(attr) == 4 ? ::mnl_attr_get_u32(attr)
                                                                    : fallback;
}

std::uint8_t Attributes::u8(std::uint16_t type, std::uint8_t fallback) const {
    const nlattr* attr = find(type);
    return attr != nullptr && ::mnl_attr_get_payload_len(attr) == 1 ? ::mnl_attr_get_u8(attr)
                                                                    : fallback;
}

std::string Attributes::text(std::uint16_t type) const {
    const nlattr* attr = find(type);
    if (attr == nullptr)
        return {};
    const auto* bytes = static_cast<const char*>(::mnl_attr_get_payload(attr));
    return {bytes, ::strnlen(bytes, ::mnl_attr_get_payload_len(attr))};
}

MacAddress Attributes::mac(std::uint16_t type) const {
    MacAddress result;
    const nlattr* attr = find(type);
    if (attr != nullptr && ::mnl_attr_get_payload_len(attr) == result.bytes.size())
        std::memcpy(result.bytes.data(), ::mnl_attr_get_payload(attr), result.bytes.size());
    return result;
}

IpAddress Attributes::address(std::uint16_t type) const {
    const nlattr* attr = find(type);
    if (attr == nullptr)
        return {};
    IpAddress::Bytes bytes{};
    if (::mnl_attr_get_payload_len(attr) == 4) {
        bytes[10] = bytes[11] = 0xff;
        std::memcpy(bytes.data() + 12, ::mnl_attr_get_payload(attr), 4);
    } else if (::mnl_attr_get_payload_len(attr) == bytes.size()) {
        std::memcpy(bytes.data(), ::mnl_attr_get_payload(attr), bytes.size());
    }
    return IpAddress(bytes);
}

}  // namespace raind::net
