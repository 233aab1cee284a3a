#include <array>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include "tests/unit/api/api_fixture.h"

using namespace raind;
using namespace raind::test;

namespace {

constexpr const char* kUpgrade =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

std::string handshake(const char* target, const char* fields) {
    return std::string("GET ") + target + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
}

std::string exec_handshake() {
    return handshake(
        "/v1/containers/web/exec/attach?exec_id=e1",
        (std::string(kUpgrade) + "Sec-WebSocket-Protocol: raind.streams.v1\r\n").c_str());
}

// Frames written out by hand, so that the codec under test does not judge itself.
std::string masked(unsigned char first, std::string_view payload) {
    std::string frame(1, static_cast<char>(first));
    if (payload.size() < 126) {
        frame += static_cast<char>(0x80 | payload.size());
    } else {
        frame += static_cast<char>(0x80 | 126);
        frame += static_cast<char>(payload.size() >> 8);
        frame += static_cast<char>(payload.size() & 0xff);
    }
    const std::array<char, 4> mask{0x12, 0x34, 0x56, 0x78};
    frame.append(mask.data(), mask.size());
    for (std::size_t i = 0; i < payload.size(); ++i)
        frame += static_cast<char>(payload[i] ^ mask[i % 4]);
    return frame;
}

struct Frame {
    int first = -1;
    std::string payload;
};

Frame read_frame(TlsClient& client) {
    const std::string head = client.read(2);
    if (head.size() < 2)
        return {};
    std::size_t size = static_cast<unsigned char>(head[1]);
    REQUIRE((size & 0x80) == 0);  // a server never masks
    if (size == 126) {
        const std::string wide = client.read(2);
        size = static_cast<std::size_t>(static_cast<unsigned char>(wide[0])) << 8 |
               static_cast<unsigned char>(wide[1]);
    }
    REQUIRE(size < 65536);
    return {static_cast<unsigned char>(head[0]), client.read(size)};
}

std::string shim_frame(char type, std::string_view payload) {
    std::string frame(1, type);
    for (int shift = 24; shift >= 0; shift -= 8)
        frame += static_cast<char>((payload.size() >> shift) & 0xff);
    return frame.append(payload);
}

void shim_send(FakeServices& fake, const std::string& bytes) {
    REQUIRE(::send(fake.containers.shim.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
}

std::string shim_read(FakeServices& fake, std::size_t size) {
    std::string out(size, '\0');
    REQUIRE(::recv(fake.containers.shim.get(), out.data(), size, MSG_WAITALL) ==
            static_cast<ssize_t>(size));
    return out;
}

}  // namespace

TEST_CASE("an exec is joined, carried both ways and ends with its exit code") {
    ApiFixture api;
    TlsClient client(api.client());
    client.send(exec_handshake());
    const auto answer = client.answer();
    REQUIRE(answer.has_value());
    CHECK(answer->status == 101);
    CHECK(answer->headers.at("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    CHECK(answer->headers.at("sec-websocket-protocol") == "raind.streams.v1");
    client.send(masked(0x82, std::string("\0hello", 6)));
    CHECK(shim_read(api.fake, 10) == shim_frame(0, "hello"));
    client.send(masked(0x81, "text is ignored") + masked(0x82, std::string("\1\0\30\0\120", 5)) +
                masked(0x82, "\2TERM") + masked(0x82, "\7unknown") +
                masked(0x82, std::string("\1short", 6)) + masked(0x82, std::string(1, '\0')));
    CHECK(shim_read(api.fake, 23) ==
          shim_frame(1, std::string("\0\30\0\120", 4)) + shim_frame(2, "TERM") + shim_frame(0, ""));
    shim_send(api.fake, shim_frame(1, "out") + shim_frame(2, "err"));
    const Frame out = read_frame(client);
    CHECK(out.first == 0x82);
    CHECK(out.payload == "\1out");
    CHECK(read_frame(client).payload == "\2err");
    client.send(masked(0x89, "ping"));
    const Frame pong = read_frame(client);
    CHECK(pong.first == 0x8a);
    CHECK(pong.payload == "ping");
    shim_send(api.fake, shim_frame(3, R"({"exit_code":7})"));
    const Frame exit = read_frame(client);
    CHECK(exit.first == 0x81);
    CHECK(exit.payload == R"({"exit_code":7})");
    const Frame close = read_frame(client);
    CHECK(close.first == 0x88);
    CHECK(close.payload == std::string("\x03\xe8", 2) + "stream closed");
    const auto audit = api.audit_of(1);
    CHECK(audit[0]["action"] == "ws.exec.attach");
    CHECK(audit[0]["result"]["status"] == "allow");
    CHECK(audit[0]["result"]["code"] == 101);
    CHECK(audit[0]["target"]["exec_id"] == "e1");
}

TEST_CASE("200 round trips, and 2 MB echoed while the client writes before it reads") {
    ApiFixture api;
    TlsClient client(api.client());
    client.send(exec_handshake());
    REQUIRE(client.answer()->status == 101);
    // The supervisor's side: sends input back as output, until its end.
    std::jthread echo([&api] {
        while (true) {
            const std::string head = shim_read(api.fake, 5);
            std::size_t size = 0;
            for (int i = 1; i < 5; ++i)
                size = size << 8 | static_cast<unsigned char>(head[static_cast<std::size_t>(i)]);
            if (size == 0)
                break;
            shim_send(api.fake, shim_frame(1, shim_read(api.fake, size)));
        }
        shim_send(api.fake, shim_frame(3, R"({"exit_code":0})"));
    });
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < 200; ++i) {
        client.send(masked(0x82, std::string("\0x", 2)));
        REQUIRE(read_frame(client).payload == "\1x");
    }
    MESSAGE("one round trip: " << std::chrono::duration<double, std::milli>(
                                      std::chrono::steady_clock::now() - begun)
                                          .count() /
                                      200
                               << " ms");
    const std::string block = std::string(1, '\0') + std::string(32000, 'b');
    constexpr int kBlocks = 60;
    for (int i = 0; i < kBlocks; ++i)
        REQUIRE(client.send(masked(0x82, block)));
    std::size_t total = 0;
    while (total < kBlocks * 32000UL) {
        const Frame frame = read_frame(client);
        REQUIRE(frame.first == 0x82);
        total += frame.payload.size() - 1;
    }
    CHECK(total == kBlocks * 32000UL);
    client.send(masked(0x82, std::string(1, '\0')));
    CHECK(read_frame(client).payload == R"({"exit_code":0})");
}

TEST_CASE("broken conversations end with a reason") {
    ApiFixture api;
    TlsClient client(api.client());
    client.send(exec_handshake());
    REQUIRE(client.answer()->status == 101);
    SUBCASE("an unmasked frame") {
        client.send(
            "\x82\x02"
            "ab");
        CHECK(read_frame(client).payload.substr(0, 2) == "\x03\xea");  // 1002
    }
    SUBCASE("a message above the limit") {
        client.send(std::string("\x82\xff\0\0\0\0\x10\0\0\0mask", 14));
        CHECK(read_frame(client).payload.substr(0, 2) == "\x03\xf1");  // 1009
    }
    SUBCASE("the supervisor dies") {
        api.fake.containers.shim.reset();
        CHECK(read_frame(client).payload.substr(0, 2) == "\x03\xf3");  // 1011
    }
    SUBCASE("the client closes") {
        client.send(masked(0x88, "\x03\xe9"));
        CHECK(read_frame(client).first == 0x88);
    }
    SUBCASE("the client vanishes") {
        client.close();
    }
    SUBCASE("the server stops") {
        api.server->stop();
        CHECK(read_frame(client).payload.substr(0, 2) == "\x03\xe9");  // 1001
    }
    CHECK(api.audit_of(1)[0]["action"] == "ws.exec.attach");
}

TEST_CASE("refused upgrades join nothing") {
    ApiFixture api;
    struct Case {
        const char* target;
        std::string fields;
        int status;
    };
    const std::string protocol = "Sec-WebSocket-Protocol: other, raind.streams.v1\r\n";
    for (const Case& c :
         {Case{"/v1/containers/web/exec/attach?exec_id=e1", "", 426},
          Case{"/v1/containers/web/exec/attach?exec_id=e1", kUpgrade, 400},
          Case{"/v1/containers/web/exec/attach", kUpgrade + protocol, 400},
          Case{"/v1/containers/web/exec/attach?exec_id=e2", kUpgrade + protocol, 404},
          Case{"/v1/containers/web/exec/attach?exec_id=e1",
               "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\n" +
                   protocol,
               426},
          Case{"/v1/containers/web/exec/attach?exec_id=e1",
               "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
                   protocol,
               400}}) {
        TlsClient client(api.client());
        client.send(handshake(c.target, c.fields.c_str()));
        const auto answer = client.answer();
        REQUIRE(answer.has_value());
        CHECK(answer->status == c.status);
    }
    TlsClient hook(api.client(pki::kHookClientName));
    hook.send(exec_handshake());
    CHECK(hook.answer()->status == 403);
    CHECK(api.fake.changes == 0);
    CHECK(api.audit_of(7)[6]["result"]["status"] == "deny");
}

TEST_CASE("an upgrade asked of a plain route is answered plainly") {
    ApiFixture api;
    TlsClient client(api.client());
    client.send(handshake("/v1/containers/web", kUpgrade));
    CHECK(client.answer()->status == 200);
}
