#include "userspace/api/http/head.h"

#include <algorithm>
#include <charconv>

#include "userspace/common/text.h"

namespace raind::api::http {

namespace {

using Refused = std::unexpected<HeadRefusal>;

bool is_token_char(char c) {
    constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOther.find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, is_token_char);
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

bool has_word(std::string_view list, std::string_view word) {
    const auto words = split(list, ',');
    return std::ranges::any_of(words,
                               [word](const std::string& w) { return lower(trim(w)) == word; });
}

struct Fields {
    std::string connection;
    std::string upgrade;
    std::string websocket_version;
    std::size_t hosts = 0;
    bool transfer_encoding = false;
};

std::optional<HeadRefusal> read_request_line(std::string_view line, RequestHead& head) {
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last)
        return HeadRefusal{400, "malformed request line"};
    head.method = line.substr(0, first);
    head.target = line.substr(first + 1, last - first - 1);
    const std::string_view version = line.substr(last + 1);
    if (!is_token(head.method))
        return HeadRefusal{400, "malformed method"};
    if (version != "HTTP/1.1")
        return HeadRefusal{505, "HTTP version not supported"};
    if (!head.target.starts_with('/') || head.target.find_first_of(" \t#\x7f") != std::string::npos)
        return HeadRefusal{400, "malformed request target"};
    const std::size_t mark = head.target.find('?');
    head.path = head.target.substr(0, mark);
    if (mark != std::string::npos)
        head.query = head.target.substr(mark + 1);
    return std::nullopt;
}

std::optional<HeadRefusal> take_length(std::string_view value, RequestHead& head) {
    if (head.content_length)
        return HeadRefusal{400, "more than one Content-Length"};
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
    if (value.empty() || error != std::errc() || end != value.data() + value.size())
        return HeadRefusal{400, "malformed Content-Length"};
    head.content_length = length;
    return std::nullopt;
}

std::optional<HeadRefusal> take_field(std::string_view line, RequestHead& head, Fields& fields) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
        return HeadRefusal{400, "malformed header field"};
    const std::string name = lower(line.substr(0, colon));
    const std::string_view value = trim(line.substr(colon + 1));
    if (name == "content-length")
        return take_length(value, head);
    if (name == "transfer-encoding") {
        if (fields.transfer_encoding || lower(value) != "chunked")
            return HeadRefusal{501, "transfer coding not supported"};
        fields.transfer_encoding = head.chunked = true;
    } else if (name == "content-encoding") {
        return HeadRefusal{415, "content coding not supported"};
    } else if (name == "host") {
        ++fields.hosts;
        head.host = value;
    } else if (name == "connection") {
        fields.connection.append(fields.connection.empty() ? "" : ",").append(value);
    } else if (name == "upgrade") {
        fields.upgrade = value;
    } else if (name == "sec-websocket-key") {
        head.websocket_key = value;
    } else if (name == "sec-websocket-version") {
        fields.websocket_version = value;
    } else if (name == "sec-websocket-protocol") {
        for (const std::string& word : split(value, ','))
            head.websocket_protocols.emplace_back(trim(word));
    }
    return std::nullopt;
}

std::optional<HeadRefusal> conclude(RequestHead& head, const Fields& fields) {
    if (fields.hosts != 1)
        return HeadRefusal{400, "exactly one Host is required"};
    if (head.chunked && head.content_length)
        return HeadRefusal{400, "Content-Length together with chunked"};
    head.close = has_word(fields.connection, "close");
    head.websocket =
        has_word(fields.connection, "upgrade") && has_word(fields.upgrade, "websocket");
    if (!head.websocket)
        return std::nullopt;
    constexpr std::size_t kKeyLength = 24;  // 16 bytes in base 64
    if (fields.websocket_version != "13")
        return HeadRefusal{426, "websocket version not supported"};
    if (head.method != "GET" || head.has_body() || head.websocket_key.size() != kKeyLength)
        return HeadRefusal{400, "malformed websocket handshake"};
    return std::nullopt;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

}  // namespace

std::expected<RequestHead, HeadRefusal> check_head(std::string_view bytes) {
    RequestHead head;
    Fields fields;
    std::size_t count = 0;
    bool first = true;
    while (true) {
        const std::size_t end = bytes.find("\r\n");
        if (end == std::string_view::npos)
            return Refused(HeadRefusal{400, "head is not complete"});
        const std::string_view line = bytes.substr(0, end);
        bytes.remove_prefix(end + 2);
        // Bare CR or LF, NUL and other controls mean different things to different parsers.
        if (std::ranges::any_of(line, [](char c) { return c >= 0 && c < 0x20 && c != '\t'; }))
            return Refused(HeadRefusal{400, "control character in head"});
        if (line.empty() && !first)
            break;
        if (!first && ++count > kMaxHeadFields)
            return Refused(HeadRefusal{431, "too many header fields"});
        const auto refused = first ? read_request_line(line, head) : take_field(line, head, fields);
        if (refused)
            return Refused(*refused);
        first = false;
    }
    if (const auto refused = conclude(head, fields))
        return Refused(*refused);
    return head;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            out += ' ';
        } else if (text[i] != '%') {
            out += text[i];
        } else {
            if (i + 2 >= text.size())
                return std::nullopt;
            const int high = hex_digit(text[i + 1]);
            const int low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return std::nullopt;
            out += static_cast<char>(high * 16 + low);
            i += 2;
        }
    }
    return out;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
    for (const std::string& pair : split(query, '&')) {
        const std::size_t equal = pair.find('=');
        if (percent_decode(std::string_view(pair).substr(0, equal), true) == name)
            return equal == std::string::npos
                       ? std::string()
                       : percent_decode(std::string_view(pair).substr(equal + 1), true);
    }
    return std::nullopt;
}

}  // namespace raind::api::http
