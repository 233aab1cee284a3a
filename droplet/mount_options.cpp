#include "droplet/mount_options.h"

#include <algorithm>
#include <array>
#include <linux/mount.h>
#include <optional>
#include <string_view>

namespace raind::droplet {

namespace {

// <sys/mount.h> and <linux/mount.h> cannot both be included with the C library of the floor.
constexpr std::uint64_t kUnbindable = 1U << 17;
constexpr std::uint64_t kPrivate = 1U << 18;
constexpr std::uint64_t kSlave = 1U << 19;
constexpr std::uint64_t kShared = 1U << 20;

struct AttributeWord {
    std::string_view word;
    std::uint64_t set;
    std::uint64_t clear;
};

// With an "r" in front each applies to the whole tree.
constexpr std::array kAttributes{
    AttributeWord{"ro", MOUNT_ATTR_RDONLY, 0},
    AttributeWord{"rw", 0, MOUNT_ATTR_RDONLY},
    AttributeWord{"nosuid", MOUNT_ATTR_NOSUID, 0},
    AttributeWord{"suid", 0, MOUNT_ATTR_NOSUID},
    AttributeWord{"nodev", MOUNT_ATTR_NODEV, 0},
    AttributeWord{"dev", 0, MOUNT_ATTR_NODEV},
    AttributeWord{"noexec", MOUNT_ATTR_NOEXEC, 0},
    AttributeWord{"exec", 0, MOUNT_ATTR_NOEXEC},
    AttributeWord{"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    AttributeWord{"diratime", 0, MOUNT_ATTR_NODIRATIME},
    AttributeWord{"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    AttributeWord{"atime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    AttributeWord{"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    AttributeWord{"norelatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    AttributeWord{"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    AttributeWord{"nostrictatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    AttributeWord{"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    AttributeWord{"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
};

// Words of mount(8) that the mount API no longer knows and that change nothing a program sees.
constexpr std::array<std::string_view, 3> kIgnored{"silent", "iversion", "noiversion"};

constexpr std::array<std::string_view, 4> kRefused{"tmpcopyup", "copy-symlink", "dest-nofollow",
                                                   "loud"};

void apply(std::uint64_t& set, std::uint64_t& clear, const AttributeWord& word) {
    set = (set & ~word.clear) | word.set;
    clear = (clear & ~word.set) | word.clear;
}

const AttributeWord* find_attribute(std::string_view word) {
    const auto* it = std::ranges::find(kAttributes, word, &AttributeWord::word);
    return it == kAttributes.end() ? nullptr : it;
}

std::optional<Propagation> propagation_word(std::string_view word) {
    if (word == "private" || word == "rprivate")
        return Propagation{kPrivate, word[0] == 'r'};
    if (word == "shared" || word == "rshared")
        return Propagation{kShared, word[0] == 'r'};
    if (word == "slave" || word == "rslave")
        return Propagation{kSlave, word[0] == 'r'};
    if (word == "unbindable" || word == "runbindable")
        return Propagation{kUnbindable, word[0] == 'r'};
    return std::nullopt;
}

bool apply_switch(MountOptions& out, std::string_view word) {
    if (word == "bind" || word == "rbind") {
        out.bind = true;
        out.recursive_bind = word == "rbind";
    } else if (word == "remount") {
        out.remount = true;
    } else if (word == "idmap" || word == "ridmap") {
        out.idmap = true;
        out.recursive_idmap = word == "ridmap";
    } else if (word == "src-nofollow") {
        out.no_follow_source = true;
    } else if (word == "x-raind.nolinks") {
        out.no_links_source = true;
    } else if (word == "x-raind.fill") {
        out.fill = true;
    } else if (word != "defaults") {
        return false;
    }
    return true;
}

}  // namespace

bool MountOptions::has_data(const std::string& key) const {
    return std::ranges::any_of(
        data, [&](const std::string& datum) { return datum.starts_with(key + "="); });
}

Result<Propagation> parse_propagation(const std::string& word) {
    if (const auto found = propagation_word(word))
        return *found;
    return Error(Errc::InvalidArgument, "unknown propagation \"" + word + "\"");
}

Result<MountOptions> parse_mount_options(const std::vector<std::string>& options) {
    MountOptions out;
    for (const std::string& option : options) {
        const std::string_view word = option;
        if (word.empty() || apply_switch(out, word) ||
            std::ranges::find(kIgnored, word) != kIgnored.end())
            continue;
        if (std::ranges::find(kRefused, word) != kRefused.end())
            return Error(Errc::Unsupported, "option \"" + option + "\" is not supported yet");
        if (const auto propagation = propagation_word(word)) {
            out.propagation = propagation->flag;
            out.recursive_propagation = propagation->recursive;
        } else if (const AttributeWord* attribute = find_attribute(word)) {
            apply(out.set, out.clear, *attribute);
        } else if (const AttributeWord* below =
                       word[0] == 'r' ? find_attribute(word.substr(1)) : nullptr) {
            apply(out.recursive_set, out.recursive_clear, *below);
        } else if (word.find(',') != std::string_view::npos) {
            return Error(Errc::InvalidArgument, "option \"" + option + "\" contains a comma");
        } else {
            // Options of the file system; flags of the superblock too, which the mount API takes by
            // name.
            out.data.push_back(option);
        }
    }
    return out;
}

}  // namespace raind::droplet
