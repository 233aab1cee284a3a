#include "userspace/runtime/claims.h"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include "userspace/common/json.h"
#include "userspace/common/netns.h"
#include "userspace/runtime/paths.h"

namespace raind::runtime {
namespace {

constexpr std::size_t kLargestFile = 1U << 20;

struct Held {
    Claim claim;
    std::string root;
};

bool holds(const Held& held) {
    return stdfs::exists(Paths(held.root).store());
}

bool meets(const Claim& one, const Claim& other) {
    if (one.kind != other.kind)
        return false;
    const auto below = [](const std::string& path, const std::string& parent) {
        return path.starts_with(parent + "/");
    };
    return one.value == other.value || (one.kind == "cgroup" && (below(one.value, other.value) ||
                                                                 below(other.value, one.value)));
}

Result<std::vector<Held>> read(const stdfs::path& file) {
    std::vector<Held> out;
    const auto text = read_file(file, kLargestFile);
    if (!text && text.error().code() == Errc::NotFound)
        return out;
    if (!text)
        return text.error();
    const auto json = parse_json(*text);
    if (!json || !json->is_array())
        return Error(Errc::Internal,
                     fmt::format("{} is damaged: remove it when no condenser runs", file.string()));
    for (const Json& entry : *json) {
        const JsonReader reader(entry, "claim");
        Held held;
        RAIND_TRY(held.claim.kind, reader.string("kind"));
        RAIND_TRY(held.claim.value, reader.string("value"));
        RAIND_TRY(held.claim.option, reader.string("option"));
        RAIND_TRY(held.root, reader.string("root"));
        out.push_back(std::move(held));
    }
    return out;
}

Status write(const stdfs::path& file, const std::vector<Held>& all) {
    Json out = Json::array();
    for (const Held& held : all)
        out.push_back(Json{{"kind", held.claim.kind},
                           {"value", held.claim.value},
                           {"option", held.claim.option},
                           {"root", held.root}});
    return write_file_rename(file, dump_json(out) + "\n", 0644);
}

// Two daemons that start at the same time wait for one another.
Result<UniqueFd> lock(const stdfs::path& file) {
    RAIND_TRY(UniqueFd fd, open_file(file.string() + ".lock", O_RDWR | O_CREAT, 0600));
    while (::flock(fd.get(), LOCK_EX) != 0)
        if (errno != EINTR)
            return os_error("lock " + file.string());
    return fd;
}

Result<std::string> name_of(const stdfs::path& root) {
    std::error_code error;
    const stdfs::path real = stdfs::weakly_canonical(root.empty() ? "/" : root, error);
    if (error)
        return Error(Errc::InvalidArgument, fmt::format("--root: {}", error.message()));
    return real.string();
}

}  // namespace

Result<std::vector<Claim>> claims_of(const std::string& netns, const std::string& cgroup,
                                     const stdfs::path& bpffs) {
    const std::string option = netns.empty() ? "the host's network" : "--netns " + netns;
    std::vector<Claim> out;
    if (!netns.empty())
        out.push_back({"netns", "name:" + netns, option});
    if (netns.empty() || named_netns_exists(netns)) {
        RAIND_TRY(const NetnsRef ref,
                  netns.empty() ? NetnsRef::current() : NetnsRef::open_named(netns));
        RAIND_TRY(const std::uint64_t inode, ref.inode());
        out.push_back({"netns", fmt::format("inode:{}", inode), option});
    }
    const std::string group =
        (stdfs::path("/") / cgroup).lexically_normal().relative_path().string();
    out.push_back({"cgroup", group.ends_with('/') ? group.substr(0, group.size() - 1) : group,
                   "--cgroup " + cgroup});
    std::error_code error;
    const stdfs::path folder = stdfs::weakly_canonical(bpffs, error);
    if (error)
        return Error(Errc::InvalidArgument,
                     fmt::format("--bpffs {}: {}", bpffs.string(), error.message()));
    out.push_back({"bpffs", folder.string(), "--bpffs " + bpffs.string()});
    return out;
}

Status Claims::take(const stdfs::path& root, const std::vector<Claim>& wanted) const {
    RAIND_TRY(const std::string own, name_of(root));
    RAIND_TRY(const UniqueFd locked, lock(file_));
    RAIND_TRY(std::vector<Held> all, read(file_));
    std::erase_if(all, [](const Held& held) { return !holds(held); });
    for (const Claim& claim : wanted) {
        const auto other = std::ranges::find_if(
            all, [&](const Held& held) { return held.root != own && meets(claim, held.claim); });
        if (other != all.end())
            return Error(Errc::Conflict,
                         fmt::format("{} belongs to the instance with --root {} (it has {}): give "
                                     "this one its own, or end that one by its own --remove",
                                     claim.option, other->root, other->claim.option));
        if (std::ranges::none_of(all, [&](const Held& held) {
                return held.root == own && held.claim.kind == claim.kind &&
                       held.claim.value == claim.value;
            }))
            all.push_back({claim, own});
    }
    return write(file_, all);
}

Status Claims::release(const stdfs::path& root) const {
    RAIND_TRY(const std::string own, name_of(root));
    RAIND_TRY(const UniqueFd locked, lock(file_));
    RAIND_TRY(std::vector<Held> all, read(file_));
    std::erase_if(all, [&](const Held& held) { return held.root == own || !holds(held); });
    return write(file_, all);
}

}  // namespace raind::runtime
