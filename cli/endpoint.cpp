#include "cli/endpoint.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>

#include "cli/text.h"
#include "userspace/common/fs.h"
#include "userspace/common/json.h"
#include "userspace/common/units.h"

namespace raind::cli {

namespace {

Outcome<std::string> management_address(const std::string& root) {
    const std::string path = root + "/run/raind/endpoints.json";
    auto text = read_file(path, 64UL << 10U);
    if (!text) {
        const int error = text.error().os_error();
        if (error == EACCES || error == EPERM)
            return not_readable(path, error);
        return cannot_connect(
            fmt::format("no daemon has been started with --root {}: {} is missing",
                        terminal_safe(root), terminal_safe(path)),
            fmt::format("start one with: condenser --root {}", terminal_safe(root)));
    }
    const CliError damaged =
        cannot_connect(fmt::format("{} is damaged", terminal_safe(path)), "restart the daemon");
    auto json = parse_json(*text);
    if (!json || !json->is_object())
        return damaged;
    auto address = JsonReader(*json, "endpoints").string("management");
    if (!address || address->empty())
        return damaged;
    return std::move(*address);
}

}  // namespace

std::string Endpoint::address() const {
    return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                               : fmt::format("[{}]:{}", host, port);
}

CliError not_readable(const std::string& path, int error_number) {
    CliError error = failure(
        fmt::format("cannot read {}: {}", terminal_safe(path), std::strerror(error_number)));
    error.headline = "sudo required";
    error.hint = error_number == ENOENT
                     ? "the daemon makes its certificates when it starts for the first time; "
                       "another instance is named with --root DIR"
                     : "run the command as root";
    return error;
}

CliError cannot_connect(std::string message, std::string hint) {
    CliError error = failure(std::move(message), std::move(hint));
    error.headline = "Cannot connect to the Raind daemon. Is the raind daemon running?";
    return error;
}

Outcome<Endpoint> parse_host(const std::string& text, Endpoint base) {
    std::string rest = text;
    const auto malformed = [&text] {
        return usage_error(fmt::format("--host {} is not an address", terminal_safe(text)),
                           "it is HOST or HOST:PORT, for example 127.0.0.1:7755");
    };
    if (rest.starts_with("https://"))
        rest.erase(0, 8);
    if (rest.ends_with('/'))
        rest.pop_back();
    std::string port;
    if (rest.starts_with('[')) {
        const std::size_t end = rest.find(']');
        if (end == std::string::npos)
            return malformed();
        base.host = rest.substr(1, end - 1);
        if (end + 1 < rest.size() && rest[end + 1] != ':')
            return malformed();
        port = end + 1 < rest.size() ? rest.substr(end + 1) : "";
    } else {
        const std::size_t colon = rest.find(':');
        base.host = rest.substr(0, colon);
        port = colon == std::string::npos ? "" : rest.substr(colon);
    }
    if (base.host.empty() || base.host.find_first_of("/@? \t\r\n") != std::string::npos)
        return malformed();
    if (port.empty())
        return base;
    auto number = parse_number(port.substr(1), 1, 65535, "port");
    if (!number)
        return malformed();
    base.port = static_cast<std::uint16_t>(*number);
    return base;
}

Outcome<Endpoint> resolve_endpoint(const EndpointChoice& choice) {
    const std::string certs = choice.root + "/etc/raind/cert/";
    Endpoint endpoint;
    endpoint.ca_file = certs + "raind.crt";
    endpoint.cert_file = certs + "raindClient.crt";
    endpoint.key_file = certs + "raindClient.key";
    if (!choice.host.empty())
        return parse_host(choice.host, std::move(endpoint));
    if (choice.root.empty())
        return endpoint;
    RAIND_TRY(const std::string address, management_address(choice.root));
    return parse_host(address, std::move(endpoint));
}

}  // namespace raind::cli
