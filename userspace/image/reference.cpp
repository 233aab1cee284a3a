#include "userspace/image/reference.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace raind::image {

namespace {

constexpr std::size_t kMaxReference = 512;
constexpr std::size_t kMaxPath = 255;
constexpr std::size_t kMaxTag = 128;
constexpr std::size_t kMaxHost = 253;
constexpr std::string_view kLibrary = "library/";

bool is_lower_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_alnum(char c) {
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

Error invalid(std::string what) {
    return {Errc::InvalidArgument, std::move(what)};
}

// Separators inside a component: one dot, one or two underscores, any number of hyphens.
bool is_separator(std::string_view text) {
    return text == "." || text == "_" || text == "__" ||
           (!text.empty() && text.find_first_not_of('-') == std::string_view::npos);
}

Status check_component(std::string_view part) {
    if (part.empty())
        return invalid("the repository has an empty part");
    if (std::any_of(part.begin(), part.end(), [](char c) { return c >= 'A' && c <= 'Z'; }))
        return invalid(fmt::format("repository part '{}' has upper-case letters", part));
    std::size_t at = 0;
    while (at < part.size()) {
        std::size_t end = at;
        while (end < part.size() && is_lower_alnum(part[end]))
            ++end;
        if (end == at)
            break;
        if (end == part.size())
            return {};
        at = end;
        while (at < part.size() && !is_lower_alnum(part[at]))
            ++at;
        if (at == part.size() || !is_separator(part.substr(end, at - end)))
            break;
    }
    return invalid(fmt::format(
        "repository part '{}' may hold a-z, 0-9 and single separators (. _ __ -) between them",
        part));
}

Status check_path(std::string_view path) {
    if (path.empty())
        return invalid("empty repository");
    if (path.size() > kMaxPath)
        return invalid(fmt::format("the repository is longer than {} characters", kMaxPath));
    while (true) {
        const auto slash = path.find('/');
        RAIND_CHECK(check_component(path.substr(0, slash)));
        if (slash == std::string_view::npos)
            return {};
        path.remove_prefix(slash + 1);
    }
}

Status check_port(std::string_view port) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
    if (error != std::errc() || end != port.data() + port.size() || value == 0 || value > 65535)
        return invalid(fmt::format("'{}' is not a port (1 to 65535)", port));
    return {};
}

Status check_host_name(std::string_view host) {
    if (host.empty() || host.size() > kMaxHost)
        return invalid("the registry host is empty or too long");
    while (true) {
        const auto dot = host.find('.');
        const auto label = host.substr(0, dot);
        const bool good =
            !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
            std::all_of(label.begin(), label.end(), [](char c) { return is_alnum(c) || c == '-'; });
        if (!good)
            return invalid("the registry is not a host name");
        if (dot == std::string_view::npos)
            return {};
        host.remove_prefix(dot + 1);
    }
}

Status check_ipv6(std::string_view inner) {
    const bool good = inner.size() >= 2 && inner.size() <= 45 &&
                      std::all_of(inner.begin(), inner.end(), [](char c) {
                          return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
                                 c == ':' || c == '.';
                      });
    return good ? Status{} : invalid("the registry is not an IPv6 address in brackets");
}

Status check_registry(std::string_view registry) {
    if (registry.front() == '[') {
        const auto close = registry.find(']');
        if (close == std::string_view::npos)
            return invalid("the registry lacks the closing bracket of its IPv6 address");
        RAIND_CHECK(check_ipv6(registry.substr(1, close - 1)));
        const auto rest = registry.substr(close + 1);
        if (rest.empty())
            return {};
        if (rest.front() != ':')
            return invalid("only a port may follow the IPv6 address of the registry");
        return check_port(rest.substr(1));
    }
    const auto colon = registry.find(':');
    RAIND_CHECK(check_host_name(registry.substr(0, colon)));
    if (colon == std::string_view::npos)
        return {};
    return check_port(registry.substr(colon + 1));
}

Status check_tag(std::string_view tag) {
    if (tag.empty())
        return invalid("the tag after ':' is empty");
    if (tag.size() > kMaxTag)
        return invalid(fmt::format("the tag is longer than {} characters", kMaxTag));
    const bool good = (is_alnum(tag.front()) || tag.front() == '_') &&
                      std::all_of(tag.begin(), tag.end(), [](char c) {
                          return is_alnum(c) || c == '_' || c == '.' || c == '-';
                      });
    if (!good)
        return invalid(fmt::format(
            "tag '{}' may hold letters, digits, '_', '.', '-' and starts with neither '.' nor '-'",
            tag));
    return {};
}

bool names_registry(std::string_view first) {
    return first == "localhost" || first.find_first_of(".:[") != std::string_view::npos;
}

Status check_characters(std::string_view text) {
    if (text.empty())
        return invalid("empty repository");
    if (text.size() > kMaxReference)
        return invalid(fmt::format("longer than {} characters", kMaxReference));
    for (char c : text) {
        if (c <= ' ' || c >= 127)
            return invalid("holds a blank, a control character or a byte outside ASCII");
    }
    return {};
}

// Only printable ASCII is repeated in messages.
std::string shown(std::string_view text) {
    std::string out(text.substr(0, 80));
    std::replace_if(out.begin(), out.end(), [](char c) { return c < ' ' || c >= 127; }, '?');
    return out;
}

// Docker Hub has more than one name.
std::string canonical_registry(std::string_view registry) {
    std::string lower(registry);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (lower == "index.docker.io" || lower == "registry-1.docker.io")
        return std::string(kDefaultRegistry);
    return lower;
}

}  // namespace

Result<Reference> Reference::parse(std::string_view text) {
    const auto parse_inner = [&]() -> Result<Reference> {
        RAIND_CHECK(check_characters(text));
        Reference ref;
        std::string_view rest = text;
        if (const auto at = rest.find('@'); at != std::string_view::npos) {
            RAIND_TRY(ref.digest_, Digest::parse(rest.substr(at + 1)));
            rest = rest.substr(0, at);
        }
        ref.registry_ = kDefaultRegistry;
        if (const auto slash = rest.find('/');
            slash != std::string_view::npos && slash > 0 && names_registry(rest.substr(0, slash))) {
            RAIND_CHECK(check_registry(rest.substr(0, slash)));
            ref.registry_ = canonical_registry(rest.substr(0, slash));
            rest.remove_prefix(slash + 1);
        }
        if (const auto colon = rest.rfind(':'); colon != std::string_view::npos) {
            RAIND_CHECK(check_tag(rest.substr(colon + 1)));
            ref.tag_ = rest.substr(colon + 1);
            rest = rest.substr(0, colon);
        }
        if (ref.tag_.empty() && !ref.digest_)
            ref.tag_ = kDefaultTag;
        RAIND_CHECK(check_path(rest));
        ref.path_ = rest;
        if (ref.registry_ == kDefaultRegistry && rest.find('/') == std::string_view::npos)
            ref.path_.insert(0, kLibrary);
        return ref;
    };
    return parse_inner().context(fmt::format("invalid image reference '{}'", shown(text)));
}

std::string Reference::repository() const {
    return registry_ == kDefaultRegistry ? path_ : registry_ + "/" + path_;
}

std::string Reference::reference() const {
    return digest_ ? digest_->str() : tag_;
}

std::string Reference::canonical() const {
    std::string text = registry_ + "/" + path_;
    if (!tag_.empty())
        text += ":" + tag_;
    if (digest_)
        text += "@" + digest_->str();
    return text;
}

std::string Reference::familiar() const {
    std::string text = familiar_repository(repository());
    if (!tag_.empty())
        text += ":" + tag_;
    if (digest_)
        text += "@" + digest_->str();
    return text;
}

Result<std::string> parse_registry(std::string_view text) {
    if (text.empty())
        return std::string(kDefaultRegistry);
    const auto parse_inner = [text]() -> Result<std::string> {
        RAIND_CHECK(check_characters(text));
        if (text.find('/') != std::string_view::npos)
            return invalid("give HOST[:PORT] only, without scheme and path");
        RAIND_CHECK(check_registry(text));
        if (!names_registry(text))
            return invalid("a registry has a dot or a port in its name, or is localhost");
        return canonical_registry(text);
    };
    return parse_inner().context(fmt::format("invalid registry '{}'", shown(text)));
}

std::string registry_host(const std::string& registry) {
    if (registry.front() == '[')
        return registry.substr(1, registry.find(']') - 1);
    return registry.substr(0, registry.find(':'));
}

std::string familiar_repository(std::string_view repository) {
    if (repository.starts_with(kLibrary) &&
        repository.find('/', kLibrary.size()) == std::string_view::npos)
        repository.remove_prefix(kLibrary.size());
    return std::string(repository);
}

}  // namespace raind::image
