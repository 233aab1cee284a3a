#include "userspace/common/ws_frame.h"

#include <array>
#include <cstring>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <span>

#include "userspace/common/crypto.h"

namespace raind::ws {

namespace {

constexpr std::size_t kMaxControl = 125;
constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

bool is_control(Opcode opcode) {
    return (static_cast<std::uint8_t>(opcode) & 0x8U) != 0;
}

std::uint8_t byte_at(std::string_view bytes, std::size_t index) {
    return static_cast<std::uint8_t>(bytes[index]);
}

void append_length(std::string& out, std::uint8_t mask_bit, std::size_t size) {
    if (size <= kMaxControl) {
        out.push_back(static_cast<char>(mask_bit | size));
        return;
    }
    const bool wide = size > 0xffff;
    out.push_back(static_cast<char>(mask_bit | (wide ? 127U : 126U)));
    for (int shift = wide ? 56 : 8; shift >= 0; shift -= 8)
        out.push_back(static_cast<char>((static_cast<std::uint64_t>(size) >> shift) & 0xffU));
}

void apply_mask(char* data, std::size_t size, const std::array<unsigned char, 4>& mask) {
    for (std::size_t i = 0; i < size; ++i)
        data[i] = static_cast<char>(static_cast<unsigned char>(data[i]) ^ mask[i & 3U]);
}

bool known_opcode(std::uint8_t value) {
    return value <= 2 || (value >= 8 && value <= 10);
}

}  // namespace

void append_frame(std::string& out, Role role, Opcode opcode, std::string_view payload) {
    if (is_control(opcode) && payload.size() > kMaxControl)
        payload = payload.substr(0, kMaxControl);
    const bool masked = role == Role::Client;
    out.push_back(static_cast<char>(0x80U | static_cast<std::uint8_t>(opcode)));
    append_length(out, masked ? 0x80U : 0U, payload.size());
    if (!masked) {
        out.append(payload);
        return;
    }
    std::array<unsigned char, 4> mask{};
    // The mask only has to be unpredictable for a third party; a failure of the generator leaves
    // zeros, which is still a valid frame inside TLS.
    static_cast<void>(RAND_bytes(mask.data(), static_cast<int>(mask.size())));
    for (const unsigned char byte : mask)
        out.push_back(static_cast<char>(byte));
    const std::size_t start = out.size();
    out.append(payload);
    apply_mask(out.data() + start, payload.size(), mask);
}

void append_close(std::string& out, Role role, std::uint16_t code, std::string_view text) {
    std::string payload;
    payload.push_back(static_cast<char>(code >> 8U));
    payload.push_back(static_cast<char>(code & 0xffU));
    payload.append(text.substr(0, kMaxControl - 2));
    append_frame(out, role, Opcode::Close, payload);
}

CloseReason parse_close(std::string_view payload) {
    CloseReason reason;
    if (payload.size() < 2)
        return reason;
    reason.code = static_cast<std::uint16_t>((byte_at(payload, 0) << 8U) | byte_at(payload, 1));
    reason.text = payload.substr(2);
    return reason;
}

struct FrameDecoder::Head {
    bool final = false;
    std::uint8_t reserved = 0;
    std::uint8_t opcode = 0;
    bool masked = false;
    std::array<unsigned char, 4> mask{};
    std::uint64_t length = 0;
    std::size_t size = 0;  // bytes of the head itself
};

void FrameDecoder::feed(std::string_view bytes) {
    // Consumed bytes are dropped only when they are the larger part, so that the cost stays linear.
    if (offset_ > 0 && offset_ >= buffer_.size() / 2) {
        buffer_.erase(0, offset_);
        offset_ = 0;
    }
    buffer_.append(bytes);
}

Result<std::optional<FrameDecoder::Head>> FrameDecoder::parse_head() const {
    const std::string_view rest = std::string_view(buffer_).substr(offset_);
    if (rest.size() < 2)
        return std::optional<Head>();
    Head head;
    head.final = (byte_at(rest, 0) & 0x80U) != 0;
    head.reserved = byte_at(rest, 0) & 0x70U;
    head.opcode = byte_at(rest, 0) & 0x0fU;
    head.masked = (byte_at(rest, 1) & 0x80U) != 0;
    head.length = byte_at(rest, 1) & 0x7fU;
    head.size = 2;
    const std::size_t extra = head.length == 126 ? 2 : (head.length == 127 ? 8 : 0);
    if (rest.size() < head.size + extra + (head.masked ? 4 : 0))
        return std::optional<Head>();
    if (extra > 0) {
        head.length = 0;
        for (std::size_t i = 0; i < extra; ++i)
            head.length = (head.length << 8U) | byte_at(rest, head.size + i);
        head.size += extra;
    }
    if (head.masked) {
        std::memcpy(head.mask.data(), rest.data() + head.size, head.mask.size());
        head.size += head.mask.size();
    }
    return std::optional<Head>(head);
}

Status FrameDecoder::check_head(const Head& head) const {
    if (head.reserved != 0)
        return Error(Errc::InvalidArgument, "websocket: a reserved bit is set");
    if (!known_opcode(head.opcode))
        return Error(Errc::InvalidArgument, "websocket: unknown opcode");
    if (head.masked != (role_ == Role::Server))
        return Error(Errc::InvalidArgument, head.masked
                                                ? "websocket: the server masked a frame"
                                                : "websocket: a client frame is not masked");
    const auto opcode = static_cast<Opcode>(head.opcode);
    if (is_control(opcode)) {
        if (!head.final || head.length > kMaxControl)
            return Error(Errc::InvalidArgument, "websocket: malformed control frame");
        return {};
    }
    if ((opcode == Opcode::Continuation) != partial_.has_value())
        return Error(Errc::InvalidArgument, "websocket: fragments out of order");
    const std::size_t held = partial_ ? partial_->payload.size() : 0;
    if (head.length > max_message_ || held > max_message_ - head.length)
        return Error(Errc::TooLarge, "websocket: message above the limit");
    return {};
}

std::string FrameDecoder::take_payload(const Head& head) {
    std::string payload =
        buffer_.substr(offset_ + head.size, static_cast<std::size_t>(head.length));
    offset_ += head.size + payload.size();
    if (head.masked)
        apply_mask(payload.data(), payload.size(), head.mask);
    return payload;
}

Result<std::optional<Message>> FrameDecoder::next() {
    while (true) {
        RAIND_TRY(const std::optional<Head> head, parse_head());
        if (!head)
            return std::optional<Message>();
        RAIND_CHECK(check_head(*head));
        if (buffer_.size() - offset_ - head->size < head->length)
            return std::optional<Message>();
        const auto opcode = static_cast<Opcode>(head->opcode);
        std::string payload = take_payload(*head);
        if (is_control(opcode))
            return std::optional<Message>(Message{opcode, std::move(payload)});
        if (!partial_)
            partial_ = Message{opcode, std::move(payload)};
        else
            partial_->payload += payload;
        if (head->final) {
            std::optional<Message> whole = std::move(partial_);
            partial_.reset();
            return whole;
        }
    }
}

std::string make_key() {
    std::array<unsigned char, 16> bytes{};
    static_cast<void>(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())));
    return base64(bytes);
}

std::string accept_key(std::string_view key) {
    std::string input(key);
    input += kGuid;
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    // SHA-1 is what the protocol asks for; it protects nothing here.
    static_cast<void>(
        EVP_Digest(input.data(), input.size(), digest.data(), &size, EVP_sha1(), nullptr));
    return base64(std::span(digest).first(size));
}

}  // namespace raind::ws
