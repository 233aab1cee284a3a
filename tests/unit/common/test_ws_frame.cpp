#include <doctest/doctest.h>
#include <string>

#include "userspace/common/ws_frame.h"

using raind::ws::FrameDecoder;
using raind::ws::Message;
using raind::ws::Opcode;
using raind::ws::Role;

namespace {

std::string frame(Role role, Opcode opcode, std::string_view payload) {
    std::string out;
    raind::ws::append_frame(out, role, opcode, payload);
    return out;
}

std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        text[i] = static_cast<char>((i * 131 + (i >> 8U)) & 0xffU);
    return text;
}

bool refused(Role role, std::string_view bytes) {
    FrameDecoder decoder(role, 1024);
    decoder.feed(bytes);
    return !decoder.next().has_value();
}

}  // namespace

TEST_CASE("frames of every length class pass both ways, byte by byte") {
    for (const std::size_t size : {0UL, 1UL, 125UL, 126UL, 65535UL, 65536UL, 200000UL}) {
        for (const Role sender : {Role::Client, Role::Server}) {
            CAPTURE(size);
            const std::string payload = pattern(size);
            const std::string bytes = frame(sender, Opcode::Binary, payload);
            FrameDecoder decoder(sender == Role::Client ? Role::Server : Role::Client, 1UL << 20U);
            std::size_t fed = 0;
            while (fed < bytes.size()) {
                const std::size_t step = fed < 20 ? 1 : 4093;
                decoder.feed(std::string_view(bytes).substr(fed, step));
                fed += std::min(step, bytes.size() - fed);
                auto got = decoder.next();
                REQUIRE(got.has_value());
                if (fed < bytes.size()) {
                    CHECK_FALSE(got->has_value());
                } else {
                    REQUIRE(got->has_value());
                    CHECK((*got)->opcode == Opcode::Binary);
                    CHECK((*got)->payload == payload);
                }
            }
        }
    }
}

TEST_CASE("a client masks, a server does not") {
    const std::string masked = frame(Role::Client, Opcode::Binary, "abcd");
    CHECK((static_cast<unsigned char>(masked[1]) & 0x80U) != 0);
    CHECK(masked.size() == 10);
    const std::string plain = frame(Role::Server, Opcode::Text, "abcd");
    CHECK(plain == std::string("\x81\x04"
                               "abcd"));
}

TEST_CASE("fragments are joined and a ping between them is given at once") {
    FrameDecoder decoder(Role::Client, 1024);
    decoder.feed(std::string_view("\x02\x03one", 5));
    decoder.feed(std::string_view("\x89\x01p", 3));
    decoder.feed(std::string_view("\x00\x03two", 5));
    decoder.feed(std::string_view("\x80\x00", 2));
    auto first = decoder.next();
    REQUIRE(first.has_value());
    REQUIRE(first->has_value());
    CHECK((*first)->opcode == Opcode::Ping);
    auto second = decoder.next();
    REQUIRE(second.has_value());
    REQUIRE(second->has_value());
    CHECK((*second)->opcode == Opcode::Binary);
    CHECK((*second)->payload == "onetwo");
}

TEST_CASE("what the protocol forbids is refused") {
    CHECK(refused(Role::Server, frame(Role::Server, Opcode::Binary, "x")));   // not masked
    CHECK(refused(Role::Client, frame(Role::Client, Opcode::Binary, "x")));   // masked by a server
    CHECK(refused(Role::Client, std::string_view("\xc2\x01x", 3)));           // reserved bit
    CHECK(refused(Role::Client, std::string_view("\x83\x01x", 3)));           // unknown opcode
    CHECK(refused(Role::Client, std::string_view("\x09\x01x", 3)));           // fragmented ping
    CHECK(refused(Role::Client, std::string_view("\x89\x7e\x00\x80", 4)));    // long ping
    CHECK(refused(Role::Client, std::string_view("\x80\x01x", 3)));           // nothing to continue
    CHECK(refused(Role::Client, std::string_view("\x02\x01x\x82\x01y", 6)));  // begun twice
    CHECK_FALSE(refused(Role::Client, std::string_view("\x82\x01x", 3)));
}

TEST_CASE("the message limit counts all fragments and huge lengths do not wrap") {
    CHECK(refused(Role::Client, std::string_view("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10)));
    FrameDecoder decoder(Role::Client, 4);
    decoder.feed(std::string_view("\x02\x03one\x80\x02xy", 9));
    CHECK_FALSE(decoder.next().has_value());
    FrameDecoder fits(Role::Client, 5);
    fits.feed(std::string_view("\x02\x03one\x80\x02xy", 9));
    CHECK(fits.next().has_value());
}

TEST_CASE("close codes, control frames are cut, handshake values") {
    std::string out;
    raind::ws::append_close(out, Role::Server, 1013, std::string(300, 'a'));
    FrameDecoder decoder(Role::Client, 1024);
    decoder.feed(out);
    auto got = decoder.next();
    REQUIRE(got.has_value());
    REQUIRE(got->has_value());
    const auto reason = raind::ws::parse_close((*got)->payload);
    CHECK(reason.code == 1013);
    CHECK(reason.text == std::string(123, 'a'));
    CHECK(raind::ws::parse_close("").code == 1005);
    // The example of RFC 6455, section 1.3.
    CHECK(raind::ws::accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    CHECK(raind::ws::make_key().size() == 24);
    CHECK(raind::ws::make_key() != raind::ws::make_key());
}
