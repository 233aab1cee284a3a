#include "userspace/core/names.h"

#include <array>
#include <fmt/format.h>

namespace raind::core {

namespace {

constexpr auto kAdjectives = std::to_array<std::string_view>({
    "amber",  "agile",  "bold",   "brave", "brisk",  "bright", "calm",   "civil",  "clear",
    "clever", "cosy",   "crisp",  "deft",  "early",  "eager",  "exact",  "fair",   "fleet",
    "fresh",  "frosty", "gentle", "glad",  "golden", "grand",  "green",  "happy",  "hardy",
    "honest", "humble", "idle",   "jolly", "keen",   "kind",   "light",  "lively", "lucid",
    "lunar",  "mellow", "merry",  "mild",  "modest", "neat",   "nimble", "noble",  "patient",
    "plain",  "polite", "prime",  "proud", "quick",  "quiet",  "rapid",  "ready",  "rustic",
    "sharp",  "silent", "simple", "sober", "solar",  "solid",  "steady", "sunny",  "swift",
    "tidy",   "vivid",  "warm",   "wise",  "witty",
});

constexpr auto kNouns = std::to_array<std::string_view>({
    "anchor",  "arch",    "aspen",  "badger", "basin",  "beacon", "birch",   "bridge",  "brook",
    "canyon",  "cedar",   "cliff",  "cobalt", "comet",  "copper", "coral",   "crane",   "delta",
    "dune",    "ember",   "falcon", "fern",   "fjord",  "flint",  "forest",  "garnet",  "glade",
    "granite", "harbor",  "hazel",  "heron",  "island", "jasper", "juniper", "kestrel", "lagoon",
    "lantern", "lark",    "ledge",  "lotus",  "maple",  "marsh",  "meadow",  "mesa",    "mill",
    "moss",    "nickel",  "oak",    "orbit",  "osprey", "otter",  "pebble",  "pine",    "plume",
    "quartz",  "raven",   "reef",   "ridge",  "river",  "sable",  "slate",   "spline",  "spruce",
    "summit",  "thistle", "tide",   "tundra", "valley", "willow", "zephyr",
});

constexpr std::uint64_t kNumbers = 10'000;

bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_name_char(char c) {
    return is_alnum(c) || c == '_' || c == '.' || c == '-';
}

// A character as it may stand in a message: never raw when it could steer a terminal.
std::string printable(char c) {
    if (c > 0x20 && c < 0x7f)
        return fmt::format("'{}'", c);
    return fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
}

}  // namespace

Status validate_container_name(std::string_view name) {
    if (name.empty())
        return Error(Errc::InvalidArgument, "container name is empty");
    if (name.size() > kMaxContainerName)
        return Error(Errc::InvalidArgument,
                     fmt::format("container name has {} characters, at most {} are allowed",
                                 name.size(), kMaxContainerName));
    for (char c : name) {
        if (!is_name_char(c))
            return Error(Errc::InvalidArgument,
                         fmt::format("container name contains {}; allowed are letters, digits, "
                                     "'_', '.' and '-'",
                                     printable(c)));
    }
    if (!is_alnum(name.front()))
        return Error(Errc::InvalidArgument, "container name must begin with a letter or a digit");
    return {};
}

std::string generated_name(std::uint64_t random) {
    const auto adjective = kAdjectives[random % kAdjectives.size()];
    random /= kAdjectives.size();
    const auto noun = kNouns[random % kNouns.size()];
    random /= kNouns.size();
    return fmt::format("{}-{}-{:04}", adjective, noun, random % kNumbers);
}

}  // namespace raind::core
