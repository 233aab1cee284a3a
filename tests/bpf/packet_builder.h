// Frames as bytes, built part by part. Every field can be made wrong; lengths and checksums are
// right unless said otherwise. Plain data, no BPF: the evaluator's tests use it as well.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "userspace/common/addr.h"

namespace raind::testing {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint8_t kFin = 0x01;
inline constexpr std::uint8_t kSyn = 0x02;
inline constexpr std::uint8_t kRst = 0x04;
inline constexpr std::uint8_t kPsh = 0x08;
inline constexpr std::uint8_t kAck = 0x10;
inline constexpr std::uint8_t kUrg = 0x20;

inline IpAddress ip(std::string_view text) {
    return *IpAddress::parse(text);
}
inline MacAddress mac(std::string_view text) {
    return *MacAddress::parse(text);
}

class PacketBuilder {
  public:
    PacketBuilder& eth(const MacAddress& from, const MacAddress& to) {
        smac_ = from;
        dmac_ = to;
        return *this;
    }
    PacketBuilder& ethertype(std::uint16_t type) {
        ethertype_ = type;
        return *this;
    }
    // An in-band tag in front of the EtherType.
    PacketBuilder& vlan(std::uint16_t tag_type = 0x8100) {
        vlan_ = tag_type;
        return *this;
    }
    PacketBuilder& from(const IpAddress& address) {
        src_ = address;
        return *this;
    }
    PacketBuilder& to(const IpAddress& address) {
        dst_ = address;
        return *this;
    }
    // Forces the IP version, for addresses of the wrong family (::ffff:a.b.c.d in IPv6).
    PacketBuilder& version(int v) {
        version_ = v;
        return *this;
    }
    PacketBuilder& options(std::size_t bytes) {  // IPv4, a multiple of 4
        options_ = bytes;
        return *this;
    }
    PacketBuilder& fragment(std::uint16_t offset8, bool more) {
        fragment_ = true;
        fragment_offset_ = offset8;
        more_ = more;
        return *this;
    }
    PacketBuilder& extensions(std::vector<std::uint8_t> headers) {  // IPv6, in order
        extensions_ = std::move(headers);
        return *this;
    }
    PacketBuilder& hop_limit(std::uint8_t value) {
        hop_ = value;
        return *this;
    }
    PacketBuilder& length_delta(int delta) {  // lies about the IP length
        length_delta_ = delta;
        return *this;
    }
    PacketBuilder& header_length(std::uint8_t words) {  // lies about the IPv4 header length
        ihl_ = words;
        return *this;
    }
    PacketBuilder& tcp(std::uint16_t sport, std::uint16_t dport, std::uint8_t flags) {
        proto_ = 6;
        l4_ = {};
        put16(l4_, sport);
        put16(l4_, dport);
        put32(l4_, 0x11223344);                              // sequence
        put32(l4_, (flags & kAck) != 0 ? 0x55667788u : 0u);  // acknowledgement
        l4_.push_back(static_cast<std::uint8_t>(data_offset_ << 4));
        l4_.push_back(flags);
        put16(l4_, 64240);
        put32(l4_, 0);
        return *this;
    }
    PacketBuilder& data_offset(std::uint8_t words) {  // before tcp()
        data_offset_ = words;
        return *this;
    }
    PacketBuilder& udp(std::uint16_t sport, std::uint16_t dport) {
        proto_ = 17;
        l4_ = {};
        put16(l4_, sport);
        put16(l4_, dport);
        put32(l4_, 0);
        return *this;
    }
    PacketBuilder& icmp(std::uint8_t type, std::uint8_t code = 0, std::uint16_t id = 7) {
        proto_ = is_v6() ? 58 : 1;
        l4_ = {type, code, 0, 0};
        put16(l4_, id);
        put16(l4_, 1);
        return *this;
    }
    PacketBuilder& proto(std::uint8_t number) {  // any other protocol
        proto_ = number;
        return *this;
    }
    PacketBuilder& payload(Bytes bytes) {
        payload_ = std::move(bytes);
        return *this;
    }
    PacketBuilder& payload(std::size_t count) {
        payload_.assign(count, 0xab);
        return *this;
    }
    PacketBuilder& cut(std::size_t bytes) {  // removes bytes from the end, lengths follow
        cut_ = bytes;
        return *this;
    }

    Bytes build() const {
        Bytes frame = ethernet(vlan_ != 0 ? vlan_ : type());
        if (vlan_ != 0) {
            put16(frame, 5);
            put16(frame, type());
        }
        Bytes body = transport();
        body.resize(body.size() > cut_ ? body.size() - cut_ : 0);
        Bytes head = is_v6() ? header6(body.size()) : header4(body.size());
        frame.insert(frame.end(), head.begin(), head.end());
        frame.insert(frame.end(), body.begin(), body.end());
        return frame;
    }
    // A frame that is not IP.
    Bytes raw(const Bytes& body) const {
        Bytes frame = ethernet(ethertype_);
        frame.insert(frame.end(), body.begin(), body.end());
        return frame;
    }
    Bytes arp(std::uint16_t operation, const MacAddress& sender_mac, const IpAddress& sender,
              const MacAddress& target_mac, const IpAddress& target) const {
        Bytes frame = ethernet(0x0806);
        put16(frame, 1);
        put16(frame, 0x0800);
        frame.push_back(6);
        frame.push_back(4);
        put16(frame, operation);
        put_mac(frame, sender_mac);
        put32(frame, sender.is_zero() ? 0 : sender.v4_host_order());
        put_mac(frame, target_mac);
        put32(frame, target.v4_host_order());
        return frame;
    }
    // Neighbour solicitation (135) or advertisement (136) with a link-layer address option.
    PacketBuilder& nd(std::uint8_t type, const IpAddress& target, const MacAddress& link) {
        version_ = 6;
        proto_ = 58;
        hop_ = 255;
        l4_ = {type, 0, 0, 0};
        put32(l4_, type == 136 ? 0x60000000u : 0u);
        l4_.insert(l4_.end(), target.bytes().begin(), target.bytes().end());
        l4_.push_back(type == 135 ? 1 : 2);
        l4_.push_back(1);
        put_mac(l4_, link);
        return *this;
    }

    static void put16(Bytes& to, std::uint16_t v) {
        to.push_back(static_cast<std::uint8_t>(v >> 8));
        to.push_back(static_cast<std::uint8_t>(v & 0xff));
    }
    static void put32(Bytes& to, std::uint32_t v) {
        put16(to, static_cast<std::uint16_t>(v >> 16));
        put16(to, static_cast<std::uint16_t>(v & 0xffff));
    }
    static void put_mac(Bytes& to, const MacAddress& m) {
        to.insert(to.end(), m.bytes.begin(), m.bytes.end());
    }
    static std::uint16_t checksum(const Bytes& data, std::uint32_t sum = 0) {
        for (std::size_t i = 0; i < data.size(); i += 2)
            sum +=
                static_cast<std::uint32_t>(data[i] << 8) + (i + 1 < data.size() ? data[i + 1] : 0u);
        while ((sum >> 16) != 0)
            sum = (sum & 0xffff) + (sum >> 16);
        return static_cast<std::uint16_t>(~sum & 0xffff);
    }

  private:
    bool is_v6() const { return version_ != 0 ? version_ == 6 : !src_.is_v4(); }
    std::uint16_t type() const {
        if (ethertype_ != 0)
            return ethertype_;
        return is_v6() ? 0x86dd : 0x0800;
    }
    Bytes ethernet(std::uint16_t type) const {
        Bytes frame;
        put_mac(frame, dmac_);
        put_mac(frame, smac_);
        put16(frame, type);
        return frame;
    }
    std::uint32_t pseudo(std::size_t length) const {
        std::uint32_t sum = static_cast<std::uint32_t>(length) + proto_;
        for (std::size_t i = is_v6() ? 0 : 12; i < 16; i += 2)
            sum += static_cast<std::uint32_t>(src_.bytes()[i] << 8) + src_.bytes()[i + 1] +
                   static_cast<std::uint32_t>(dst_.bytes()[i] << 8) + dst_.bytes()[i + 1];
        return sum;
    }
    Bytes transport() const {
        Bytes body = l4_;
        body.insert(body.end(), payload_.begin(), payload_.end());
        std::size_t at = 0;
        if (proto_ == 6 && l4_.size() >= 20)
            at = 16;
        if (proto_ == 17 && l4_.size() >= 8) {
            at = 6;
            body[4] = static_cast<std::uint8_t>(body.size() >> 8);
            body[5] = static_cast<std::uint8_t>(body.size() & 0xff);
        }
        if ((proto_ == 1 || proto_ == 58) && l4_.size() >= 8)
            at = 2;
        if (at != 0) {
            const std::uint16_t sum = checksum(body, proto_ == 1 ? 0 : pseudo(body.size()));
            body[at] = static_cast<std::uint8_t>(sum >> 8);
            body[at + 1] = static_cast<std::uint8_t>(sum & 0xff);
        }
        return body;
    }
    Bytes header4(std::size_t body) const {
        Bytes head;
        const std::size_t size = 20 + options_;
        head.push_back(static_cast<std::uint8_t>(0x40 | (ihl_ != 0 ? ihl_ : size / 4)));
        head.push_back(0);
        put16(head, static_cast<std::uint16_t>(static_cast<int>(size + body) + length_delta_));
        put16(head, 0x1234);
        std::uint16_t frag = fragment_ ? fragment_offset_ : 0x4000;
        if (more_)
            frag = static_cast<std::uint16_t>(frag | 0x2000);
        put16(head, frag);
        head.push_back(hop_);
        head.push_back(proto_);
        put16(head, 0);
        put32(head, src_.is_zero() ? 0 : src_.v4_host_order());
        put32(head, dst_.v4_host_order());
        head.resize(size, 1);  // no-operation options
        const std::uint16_t sum = checksum(head);
        head[10] = static_cast<std::uint8_t>(sum >> 8);
        head[11] = static_cast<std::uint8_t>(sum & 0xff);
        return head;
    }
    Bytes header6(std::size_t body) const {
        Bytes chain;
        for (std::size_t i = 0; i < extensions_.size(); i++) {
            chain.push_back(i + 1 < extensions_.size() ? extensions_[i + 1]
                                                       : (fragment_ ? 44 : proto_));
            chain.insert(chain.end(), {0, 1, 4, 0, 0, 0, 0});  // PadN
        }
        if (fragment_) {
            chain.push_back(proto_);
            chain.push_back(0);
            put16(chain, static_cast<std::uint16_t>(fragment_offset_ << 3 | (more_ ? 1 : 0)));
            put32(chain, 0x01020304);
        }
        Bytes head = {0x60, 0, 0, 0};
        put16(head,
              static_cast<std::uint16_t>(static_cast<int>(chain.size() + body) + length_delta_));
        std::uint8_t next = proto_;
        if (!extensions_.empty())
            next = extensions_.front();
        else if (fragment_)
            next = 44;
        head.push_back(next);
        head.push_back(hop_);
        head.insert(head.end(), src_.bytes().begin(), src_.bytes().end());
        head.insert(head.end(), dst_.bytes().begin(), dst_.bytes().end());
        head.insert(head.end(), chain.begin(), chain.end());
        return head;
    }

    MacAddress smac_, dmac_;
    IpAddress src_, dst_;
    std::uint16_t ethertype_ = 0, vlan_ = 0, fragment_offset_ = 0;
    int version_ = 0, length_delta_ = 0;
    std::size_t options_ = 0, cut_ = 0;
    bool fragment_ = false, more_ = false;
    std::vector<std::uint8_t> extensions_;
    std::uint8_t hop_ = 64, ihl_ = 0, data_offset_ = 5, proto_ = 0;
    Bytes l4_, payload_;
};

}  // namespace raind::testing
