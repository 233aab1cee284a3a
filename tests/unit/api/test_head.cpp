#include <doctest/doctest.h>

#include "userspace/api/http/head.h"

using raind::api::http::check_head;
using raind::api::http::percent_decode;
using raind::api::http::query_value;

namespace {

// 0: accepted.
int status_of(const std::string& head) {
    const auto checked = check_head(head);
    return checked.has_value() ? 0 : checked.error().status;
}

std::string with(const std::string& fields) {
    return "POST /v1/x HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

}  // namespace

TEST_CASE("the parts of an ordinary head") {
    const auto head = check_head(
        "POST /v1/a%2Fb?x=1&y HTTP/1.1\r\nhost:  localhost:7755 \r\nContent-Length: 12\r\n"
        "Connection: keep-alive, Close\r\n\r\n");
    REQUIRE(head.has_value());
    CHECK(head->method == "POST");
    CHECK(head->target == "/v1/a%2Fb?x=1&y");
    CHECK(head->path == "/v1/a%2Fb");
    CHECK(head->query == "x=1&y");
    CHECK(head->host == "localhost:7755");
    CHECK(head->content_length == 12);
    CHECK(head->has_body());
    CHECK(head->close);
    CHECK_FALSE(head->chunked);
    CHECK_FALSE(head->websocket);
    CHECK(status_of(with("Transfer-Encoding: Chunked\r\n")) == 0);
}

TEST_CASE("what two parsers could read differently is refused") {
    CHECK(status_of(with("")) == 0);
    CHECK(status_of(with("Content-Length: 1\r\nContent-Length: 1\r\n")) == 400);
    CHECK(status_of(with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")) == 400);
    CHECK(status_of(with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")) == 501);
    CHECK(status_of(with("Transfer-Encoding: gzip, chunked\r\n")) == 501);
    for (const char* length : {"", "-1", "+1", "0x1", "1,1", "1 1", "99999999999999999999", "1a"})
        CHECK(status_of(with(std::string("Content-Length: ") + length + "\r\n")) == 400);
    CHECK(status_of(with("A: b\nContent-Length: 5\r\n")) == 400);
    CHECK(status_of(with("A: b\rContent-Length: 5\r\n")) == 400);
    CHECK(status_of(with(" folded: x\r\n")) == 400);
    CHECK(status_of(with("A: b\r\n\tfolded\r\n")) == 400);
    CHECK(status_of(with("Content-Length : 5\r\n")) == 400);
    CHECK(status_of(with("no colon\r\n")) == 400);
    CHECK(status_of(with(": no name\r\n")) == 400);
    CHECK(status_of(with(std::string("A: \0\r\n", 6))) == 400);
    CHECK(status_of(with("Host: second\r\n")) == 400);
    CHECK(status_of("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(status_of(with("Content-Encoding: gzip\r\n")) == 415);
}

TEST_CASE("request lines") {
    const auto line = [](const std::string& text) {
        return status_of(text + "\r\nHost: h\r\n\r\n");
    };
    CHECK(line("GET / HTTP/1.1") == 0);
    CHECK(line("GET / HTTP/1.0") == 505);
    CHECK(line("GET / HTTP/2.0") == 505);
    CHECK(line("GET /") == 400);
    CHECK(line("GET") == 400);
    CHECK(line("") == 400);
    CHECK(line("GET  / HTTP/1.1") == 400);
    CHECK(line("GET /a b HTTP/1.1") == 400);
    CHECK(line("GET http://x/ HTTP/1.1") == 400);
    CHECK(line("GET * HTTP/1.1") == 400);
    CHECK(line("GET /a\tb HTTP/1.1") == 400);
    CHECK(line("GET /#f HTTP/1.1") == 400);
    CHECK(line("G(T / HTTP/1.1") == 400);
    CHECK(line("GET / HTTP/1.1 ") == 505);
    CHECK(status_of("GET / HTTP/1.1\r\nHost: h\r\n") == 400);
}

TEST_CASE("the number of fields has a limit") {
    std::string fields;
    for (int i = 0; i < 99; ++i)
        fields += "A: b\r\n";
    CHECK(status_of(with(fields)) == 0);
    CHECK(status_of(with(fields + "A: b\r\n")) == 431);
}

TEST_CASE("websocket handshakes") {
    const std::string upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
    const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const std::string get = "GET / HTTP/1.1\r\nHost: h\r\n";
    const auto head = check_head(get + upgrade + key +
                                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, b\r\n"
                                 "Sec-WebSocket-Protocol: c\r\n\r\n");
    REQUIRE(head.has_value());
    CHECK(head->websocket);
    CHECK(head->websocket_protocols == std::vector<std::string>{"a", "b", "c"});
    CHECK(status_of(get + upgrade + key + "\r\n") == 426);
    CHECK(status_of(get + upgrade + key + "Sec-WebSocket-Version: 8\r\n\r\n") == 426);
    CHECK(status_of(get + upgrade + "Sec-WebSocket-Version: 13\r\n\r\n") == 400);
    CHECK(status_of(with(upgrade + key + "Sec-WebSocket-Version: 13\r\n")) == 400);  // POST
}

TEST_CASE("percent decoding and queries") {
    CHECK(percent_decode("a%2Fb%20c+d", false) == "a/b c+d");
    CHECK(percent_decode("a+b", true) == "a b");
    for (const char* text : {"%", "%4", "%zz", "%00", "a%"})
        CHECK_FALSE(percent_decode(text, false).has_value());
    CHECK(query_value("a=1&b=x%3Dy&a=2", "a") == "1");
    CHECK(query_value("a=1&b=x%3Dy", "b") == "x=y");
    CHECK(query_value("a=1&flag", "flag") == "");
    CHECK_FALSE(query_value("a=1", "c").has_value());
    CHECK_FALSE(query_value("", "c").has_value());
    CHECK_FALSE(query_value("c=%0", "c").has_value());
}
