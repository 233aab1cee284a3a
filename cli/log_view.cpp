#include "cli/log_view.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <fmt/format.h>

#include "cli/text.h"
#include "userspace/common/json.h"

namespace raind::cli {

namespace {

struct LogRecord {
    std::string_view time;
    LogStream stream = LogStream::Out;
    bool partial = false;
    std::string_view bytes;
};

std::optional<LogRecord> parse_record(std::string_view text) {
    LogRecord record;
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || !parse_time(text.substr(0, space)))
        return std::nullopt;
    record.time = text.substr(0, space);
    text.remove_prefix(space + 1);
    if (text.starts_with("stderr "))
        record.stream = LogStream::Err;
    else if (!text.starts_with("stdout "))
        return std::nullopt;
    text.remove_prefix(7);
    if (text.size() < 2 || (text[0] != 'P' && text[0] != 'F') || text[1] != ' ')
        return std::nullopt;
    record.partial = text[0] == 'P';
    record.bytes = text.substr(2);
    return record;
}

std::string field(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const Json& child(const Json& object, const char* key) {
    static const Json kEmpty = Json::object();
    const auto found = object.find(key);
    return found != object.end() && found->is_object() ? *found : kEmpty;
}

std::optional<long> integer(const Json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number_integer())
        return std::nullopt;
    return found->get<long>();
}

std::string record_time(const Json& record) {
    std::string time = field(record, "received_ts");
    if (time.empty())
        time = field(record, "generated_ts");
    // People read their own clock. The daemon writes UTC; another offset is left as it stands.
    if (const auto seconds = time.ends_with('Z') ? parse_time(time) : std::nullopt) {
        std::tm parts{};
        std::array<char, 32> local{};
        ::localtime_r(&*seconds, &parts);
        std::strftime(local.data(), local.size(), "%Y-%m-%d %H:%M:%S", &parts);
        return local.data();
    }
    time = time.substr(0, time.find_first_of(".+Z"));
    if (const std::size_t t = time.find('T'); t != std::string::npos)
        time[t] = ' ';
    return time;
}

std::string endpoint_name(const Json& endpoint) {
    const std::string kind = field(endpoint, "kind");
    std::string name;
    if (kind == "container") {
        name = field(endpoint, "container_name");
        if (name.empty())
            name = field(endpoint, "container_id");
    } else if (kind == "container_unresolved") {
        name = field(endpoint, "container_id");
    }
    if (name.empty())
        name = field(endpoint, "ip");
    return name.empty() ? "unknown" : name;
}

std::string detail(const Json& record) {
    const std::string proto = field(record, "proto");
    if (proto == "TCP" || proto == "UDP") {
        auto port = integer(child(record, "dst"), "port");
        if (!port || *port == 0)
            port = integer(child(record, "src"), "port");
        return port && *port != 0 ? fmt::format("{{{}/{}}}", proto, *port)
                                  : fmt::format("{{{}}}", proto);
    }
    if (proto == "ICMP") {
        const Json& icmp = child(record, "icmp");
        return fmt::format("{{ICMP type={} code={}}}", integer(icmp, "type").value_or(0),
                           integer(icmp, "code").value_or(0));
    }
    return fmt::format("{{{}}}", proto.empty() ? "UNKNOWN" : proto);
}

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

}  // namespace

void LogSplitter::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        if (end == std::string_view::npos) {
            partial_ += bytes;
            return;
        }
        if (partial_.empty()) {
            line(bytes.substr(0, end));
        } else {
            partial_ += bytes.substr(0, end);
            line(partial_);
            partial_.clear();
        }
        bytes.remove_prefix(end + 1);
    }
}

void LogSplitter::finish() {
    if (!partial_.empty())
        line(partial_);
    partial_.clear();
}

void LogSplitter::line(std::string_view text) {
    const auto record = parse_record(text);
    if (!record) {
        // An empty line is the daemon's sign of life; anything else is not thrown away.
        if (!text.empty())
            sink_(LogStream::Out, fmt::format("{}\n", text));
        return;
    }
    bool& continues = continues_[record->stream == LogStream::Err ? 1 : 0];
    std::string out;
    if (timestamps_ && !continues)
        out = fmt::format("{} ", record->time);
    out += record->bytes;
    if (!record->partial)
        out += '\n';
    continues = record->partial;
    sink_(record->stream, out);
}

std::string netflow_line(std::string_view json_line) {
    auto json = parse_json(json_line);
    if (!json || !json->is_object())
        return terminal_safe(json_line);
    const Json& record = *json;
    if (field(record, "event_type") == "log.lost")
        return fmt::format("{}\tLOST\t{} records at {}", terminal_safe(record_time(record)),
                           integer(record, "count").value_or(0),
                           terminal_safe(field(record, "where")));
    const std::string verdict = field(record, "verdict");
    return fmt::format("{}\t{}\tFROM: {} => TO: {} {}", terminal_safe(record_time(record)),
                       terminal_safe(upper(verdict.empty() ? "unknown" : verdict)),
                       terminal_safe(endpoint_name(child(record, "src"))),
                       terminal_safe(endpoint_name(child(record, "dst"))),
                       terminal_safe(detail(record)));
}

bool netflow_matches(std::string_view json_line, const std::string& target) {
    auto json = parse_json(json_line);
    if (!json || !json->is_object())
        return false;
    for (const char* const end : {"src", "dst"}) {
        const Json& endpoint = child(*json, end);
        for (const char* const key : {"container_name", "container_id", "container_uid", "ip"}) {
            if (field(endpoint, key) == target)
                return true;
        }
    }
    return false;
}

}  // namespace raind::cli
