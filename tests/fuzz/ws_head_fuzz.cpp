// The check of request heads against arbitrary bytes: what it accepts has one length of body, no
// control characters, and a path and query that can be taken apart.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "userspace/api/http/head.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace raind::api::http;
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    for (const std::string& text : {bytes, "GET /" + bytes + " HTTP/1.1\r\nHost: h\r\n\r\n",
                                    "POST / HTTP/1.1\r\nHost: h\r\n" + bytes + "\r\n\r\n"}) {
        const auto head = check_head(text);
        if (!head.has_value()) {
            if (head.error().status < 400 || head.error().status > 505)
                std::abort();
            continue;
        }
        if (head->chunked && head->content_length)
            std::abort();
        const auto control = [](char c) { return c >= 0 && c < 0x20; };
        if (!head->path.starts_with('/') || std::ranges::any_of(head->target, control) ||
            std::ranges::any_of(head->method, control))
            std::abort();
        if (const auto decoded = percent_decode(head->path, false);
            decoded && decoded->find('\0') != std::string::npos)
            std::abort();
        query_value(head->query, "a");
    }
    return 0;
}
