#include "cli/container_view.h"

#include <fmt/format.h>

#include "cli/text.h"
#include "userspace/common/json.h"

namespace raind::cli {

namespace {

constexpr std::size_t kCommandChars = 20;

}  // namespace

std::string familiar_repository(const std::string& repository) {
    std::string_view name = repository;
    for (const std::string_view prefix : {"docker.io/", "library/"}) {
        if (name.starts_with(prefix))
            name.remove_prefix(prefix.size());
    }
    return terminal_safe(name);
}

std::string familiar_image(const std::string& repository, const std::string& reference) {
    const char separator = reference.find(':') == std::string::npos ? ':' : '@';
    return fmt::format("{}{}{}", familiar_repository(repository), separator,
                       terminal_safe(reference));
}

std::string command_cell(const std::vector<std::string>& command, bool cut) {
    const std::string joined = terminal_safe(fmt::format("{}", fmt::join(command, " ")));
    if (!cut || char_width(joined) < kCommandChars)
        return fmt::format("\"{}\"", joined);
    return fmt::format("\"{}…\"", first_chars(joined, kCommandChars));
}

std::string ports_cell(const nlohmann::json& container) {
    std::string out;
    const auto forwards = container.find("forwards");
    if (forwards == container.end() || !forwards->is_array())
        return out;
    for (const Json& entry : *forwards) {
        const JsonReader reader(entry, "forwards");
        if (!reader.expect_object())
            continue;
        const auto source = reader.integer("source", 0, 65535, 0);
        const auto destination = reader.integer("destination", 0, 65535, 0);
        const auto protocol = reader.string("protocol", "tcp");
        const auto address = reader.string("address", "");
        if (!source || !destination || !protocol || !address)
            continue;
        const bool v6 = address->find(':') != std::string::npos;
        const std::string shown = address->empty() ? "0.0.0.0" : terminal_safe(*address);
        out += fmt::format("{}{}{}{}:{}->{}/{}", out.empty() ? "" : ",", v6 ? "[" : "", shown,
                           v6 ? "]" : "", *source, *destination, terminal_safe(*protocol));
    }
    return out;
}

std::string created_cell(const api::ContainerInfo& container, std::time_t now) {
    auto then = parse_time(container.created_at);
    if (!then)
        then = parse_time(container.creating_at);
    return then ? relative_time(*then, now) : std::string();
}

}  // namespace raind::cli
