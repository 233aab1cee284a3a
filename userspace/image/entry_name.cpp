#include "userspace/image/entry_name.h"

#include <fmt/format.h>

namespace raind::image {

namespace {

constexpr std::size_t kMaxComponent = 255;
constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";

Error refuse(std::string what) {
    return {Errc::InvalidArgument, std::move(what)};
}

}  // namespace

std::string EntryName::parent_path() const {
    if (parents.empty())
        return ".";
    std::string text = parents.front();
    for (std::size_t i = 1; i < parents.size(); ++i)
        text += "/" + parents[i];
    return text;
}

std::string EntryName::path() const {
    if (leaf.empty())
        return ".";
    return parents.empty() ? leaf : parent_path() + "/" + leaf;
}

Result<EntryName> parse_entry_name(std::string_view name, const ExtractLimits& limits) {
    if (name.empty())
        return refuse("entry without a name");
    if (name.find('\0') != std::string_view::npos)
        return refuse("name with a zero byte");
    if (name.size() > limits.max_path)
        return refuse(fmt::format("name longer than {} bytes", limits.max_path));
    EntryName entry;
    while (true) {
        const auto slash = name.find('/');
        const auto part = name.substr(0, slash);
        if (part == "..")
            return refuse("name with '..' leaves the layer");
        if (part.size() > kMaxComponent)
            return refuse(fmt::format("name part longer than {} bytes", kMaxComponent));
        if (!part.empty() && part != ".")
            entry.parents.emplace_back(part);
        if (entry.parents.size() > limits.max_depth)
            return refuse(fmt::format("more than {} folders deep", limits.max_depth));
        if (slash == std::string_view::npos)
            break;
        name.remove_prefix(slash + 1);
    }
    if (!entry.parents.empty()) {
        entry.leaf = std::move(entry.parents.back());
        entry.parents.pop_back();
    }
    return entry;
}

bool is_reserved_name(std::string_view part) {
    return part.starts_with(".wh..wh.") && part != kOpaqueName;
}

Result<Whiteout> parse_whiteout(std::string_view leaf) {
    if (!leaf.starts_with(kWhiteoutPrefix))
        return Whiteout{};
    if (leaf == kOpaqueName)
        return Whiteout{.kind = WhiteoutKind::Opaque, .target = {}};
    const auto target = leaf.substr(kWhiteoutPrefix.size());
    if (target.empty())
        return refuse("whiteout without a name");
    if (target == "." || target == "..")
        return refuse("whiteout of the folder itself or of the one above");
    if (is_reserved_name(leaf))
        return refuse("reserved whiteout name");
    return Whiteout{.kind = WhiteoutKind::Remove, .target = std::string(target)};
}

bool keeps_xattr(std::string_view name) {
    if (name == "security.capability")
        return true;
    return name.starts_with("user.") && name.size() > 5 && !name.starts_with("user.overlay.");
}

}  // namespace raind::image
