// The names of the OCI specification and their numbers.
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <csignal>
#include <cstring>
#include <linux/capability.h>
#include <sys/capability.h>
#include <sys/resource.h>

#include "droplet/spec.h"

namespace raind::droplet {

namespace {

struct NamedNumber {
    std::string_view name;
    int number;
};

constexpr std::array kRlimits{
    NamedNumber{"RLIMIT_AS", RLIMIT_AS},
    NamedNumber{"RLIMIT_CORE", RLIMIT_CORE},
    NamedNumber{"RLIMIT_CPU", RLIMIT_CPU},
    NamedNumber{"RLIMIT_DATA", RLIMIT_DATA},
    NamedNumber{"RLIMIT_FSIZE", RLIMIT_FSIZE},
    NamedNumber{"RLIMIT_LOCKS", RLIMIT_LOCKS},
    NamedNumber{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    NamedNumber{"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    NamedNumber{"RLIMIT_NICE", RLIMIT_NICE},
    NamedNumber{"RLIMIT_NOFILE", RLIMIT_NOFILE},
    NamedNumber{"RLIMIT_NPROC", RLIMIT_NPROC},
    NamedNumber{"RLIMIT_RSS", RLIMIT_RSS},
    NamedNumber{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    NamedNumber{"RLIMIT_RTTIME", RLIMIT_RTTIME},
    NamedNumber{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    NamedNumber{"RLIMIT_STACK", RLIMIT_STACK},
};

constexpr std::string_view kIdSymbols = "_+-.";

bool plain_letter(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

std::optional<int> number_of(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        return std::nullopt;
    return value;
}

}  // namespace

std::optional<int> capability_number(std::string_view name) {
    std::string lower(name);
    for (char& c : lower) {
        if (c >= 'a' && c <= 'z')
            return std::nullopt;
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    cap_value_t value = 0;
    if (!lower.starts_with("cap_") || cap_from_name(lower.c_str(), &value) != 0)
        return std::nullopt;
    return value;
}

std::string capability_name(int number) {
    char* known = cap_to_name(number);
    if (known == nullptr)
        return std::to_string(number);
    std::string name = known;
    cap_free(known);
    for (char& c : name)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return name;
}

std::optional<int> rlimit_number(std::string_view name) {
    const auto* it = std::ranges::find(kRlimits, name, &NamedNumber::name);
    if (it == kRlimits.end())
        return std::nullopt;
    return it->number;
}

std::optional<int> signal_number(std::string_view name) {
    if (const auto number = number_of(name))
        return *number >= 0 && *number <= SIGRTMAX ? number : std::nullopt;
    std::string upper(name);
    for (char& c : upper)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    std::string_view bare = upper;
    if (bare.starts_with("SIG"))
        bare.remove_prefix(3);
    for (const auto& [prefix, base, sign] :
         {std::tuple{"RTMIN", SIGRTMIN, 1}, std::tuple{"RTMAX", SIGRTMAX, -1}}) {
        if (!bare.starts_with(prefix))
            continue;
        std::string_view rest = bare.substr(5);
        if (rest.empty())
            return base;
        if (rest[0] != (sign > 0 ? '+' : '-'))
            return std::nullopt;
        const auto offset = number_of(rest.substr(1));
        if (!offset || *offset < 0 || *offset > SIGRTMAX - SIGRTMIN)
            return std::nullopt;
        return base + sign * *offset;
    }
    for (int number = 1; number < SIGRTMIN; ++number) {
        const char* known = ::sigabbrev_np(number);
        if (known != nullptr && bare == known)
            return number;
    }
    return std::nullopt;
}

std::string signal_name(int number) {
    const char* known = ::sigabbrev_np(number);
    return known != nullptr ? known : std::to_string(number);
}

bool valid_container_id(std::string_view id) {
    if (id.empty() || id.size() > 255 || id[0] == '.')
        return false;
    return std::ranges::all_of(
        id, [](char c) { return plain_letter(c) || kIdSymbols.find(c) != std::string_view::npos; });
}

Status check_container_id(std::string_view id) {
    if (valid_container_id(id))
        return {};
    std::string shown;
    for (const char c : id.substr(0, 64))
        shown.push_back(std::isprint(static_cast<unsigned char>(c)) != 0 ? c : '?');
    return Error(Errc::InvalidArgument,
                 "invalid container id \"" + shown +
                     "\": 1 to 255 letters, digits, '_', '+', '-' or '.', not beginning with '.'");
}

std::optional<std::uint32_t> map_id(const std::vector<IdMapping>& mappings, std::uint32_t id) {
    if (mappings.empty())
        return id;
    for (const IdMapping& entry : mappings)
        if (id >= entry.container && id - entry.container < entry.size)
            return entry.host + (id - entry.container);
    return std::nullopt;
}

}  // namespace raind::droplet
