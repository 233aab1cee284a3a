#include "userspace/core/mounts.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <utility>

#include "userspace/common/text.h"

namespace raind::core {

namespace {

constexpr std::size_t kMaxPath = 4095;
constexpr std::size_t kMaxPart = 255;

// What the runtime itself puts there must stay what it is.
constexpr auto kReservedTargets =
    std::to_array<std::string_view>({"/proc", "/sys", "/dev", "/run", "/var/run", "/boot"});

Error invalid(std::string_view what, std::string_view text, std::string_view why) {
    return Error(Errc::InvalidArgument,
                 fmt::format("invalid mount {}: {}{}", what, printable(text), why));
}

bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Absolute, printable, short enough for the kernel, without "." and "..".
Result<std::string> normal_path(std::string_view what, const std::string& text) {
    if (!text.starts_with('/'))
        return invalid(what, text, ": not an absolute path");
    if (text.size() > kMaxPath || printable(text) != text)
        return invalid(what, text, ": too long, or with characters that cannot be shown");
    std::string path;
    for (const std::string& part : split(text, '/')) {
        if (part.empty() || part == ".")
            continue;
        if (part == "..")
            return invalid(what, text, ": \"..\" is not allowed");
        if (part.size() > kMaxPart)
            return invalid(what, text, ": a part of it is too long");
        path.append(1, '/').append(part);
    }
    if (path.empty())
        return std::string("/");
    return path;
}

bool is_reserved(std::string_view path) {
    return path == "/" || std::ranges::any_of(kReservedTargets, [&](auto folder) {
               return is_at_or_below(path, folder);
           });
}

Result<std::string> target_path(const std::string& text) {
    RAIND_TRY(std::string path, normal_path("destination", text));
    if (is_reserved(path))
        return invalid("destination", text, "");
    return path;
}

Status read_options(const std::string& text, MountRecord& out) {
    bool access = false;
    for (const std::string& option : split(text, ',')) {
        if (option == "ro" || option == "rw") {
            if (std::exchange(access, true))
                return invalid("options", text, ": ro or rw once");
            out.read_only = option == "ro";
        } else if (option == "nocopy" && out.kind == MountKind::Volume) {
            out.copy = false;
        } else {
            return invalid("option", option, ": known are ro, rw, and nocopy of a named volume");
        }
    }
    return {};
}

std::size_t depth(const MountRecord& mount) {
    return static_cast<std::size_t>(std::ranges::count(mount.target, '/'));
}

}  // namespace

bool is_at_or_below(std::string_view path, std::string_view folder) {
    if (folder == "/")
        return true;
    return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

Status validate_volume_name(std::string_view name) {
    const bool well_formed = std::ranges::all_of(
        name, [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
    if (name.empty() || name.size() > kMaxVolumeName || !well_formed || !is_alnum(name.front()))
        return Error(Errc::InvalidArgument,
                     fmt::format("invalid volume name: \"{}\": 1 to {} letters, digits, '_', '.' "
                                 "and '-', the first a letter or a digit",
                                 printable(name.substr(0, kMaxVolumeName)), kMaxVolumeName));
    return {};
}

Result<MountRecord> parse_mount(const std::string& text) {
    const auto parts = split(text, ':');
    if (parts.size() < 2 || parts.size() > 3)
        return invalid("format", text,
                       ", required format: /host/path:/dest/path[:ro] or NAME:/dest/path[:ro]");
    MountRecord mount;
    mount.kind = parts[0].starts_with('/') ? MountKind::Bind : MountKind::Volume;
    if (mount.kind == MountKind::Bind) {
        RAIND_TRY(mount.source, normal_path("source", parts[0]));
        mount.copy = false;
    } else {
        RAIND_CHECK(validate_volume_name(parts[0]));
        mount.source = parts[0];
    }
    RAIND_TRY(mount.target, target_path(parts[1]));
    if (parts.size() == 3)
        RAIND_CHECK(read_options(parts[2], mount));
    return mount;
}

Result<std::vector<MountRecord>> parse_mounts(const std::vector<std::string>& texts) {
    if (texts.size() > kMaxMounts)
        return Error(Errc::InvalidArgument, fmt::format("more than {} mounts", kMaxMounts));
    std::vector<MountRecord> out;
    for (const std::string& text : texts) {
        RAIND_TRY(MountRecord mount, parse_mount(text));
        if (std::ranges::find(out, mount.target, &MountRecord::target) != out.end())
            return invalid("destination", mount.target, ": given twice");
        out.push_back(std::move(mount));
    }
    std::ranges::stable_sort(out, {}, depth);
    return out;
}

}  // namespace raind::core
