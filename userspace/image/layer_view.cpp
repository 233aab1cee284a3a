#include "userspace/image/layer_view.h"

#include <array>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "raind/unique_fd.h"

#include "userspace/common/text.h"

namespace raind::image {

namespace {

constexpr int kMaxLinks = 40;    // path_resolution(7)
constexpr int kMaxParts = 2048;  // of a path and of all links on it
// All of a layer: a hundred seconds or so. Names without links need none.
constexpr std::uint64_t kMaxLooks = 100'000'000;

Error refuse(std::string what, int os_code) {
    return {Errc::InvalidArgument, std::move(what), os_code};
}

// Tools that make a layer of a tree put nothing behind its links: a layer that leads itself out by
// one is made to. A link of a layer below is there before, and is followed inside.
Error leaves() {
    return refuse("a symbolic link in its path leaves the layer", EXDEV);
}

Result<bool> is_opaque(int layer, const std::string& path) {
    const UniqueFd fd(
        ::openat(layer, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd)
        return os_error("open its folder", errno);
    char value = 0;
    const ssize_t n = ::fgetxattr(fd.get(), kOpaqueXattr, &value, 1);
    if (n < 0 && errno != ENODATA && errno != ENOTSUP && errno != ERANGE)
        return os_error("read whether its folder is opaque", errno);
    return n == 1 && value == 'y';
}

// The parts still to go, the next one last.
void push(std::vector<std::string>& left, const std::vector<std::string>& parts) {
    left.insert(left.end(), parts.rbegin(), parts.rend());
}

}  // namespace

std::string path_in(const std::string& folder, const std::string& name) {
    return folder == "." ? name : folder + "/" + name;
}

Result<std::string> read_link(const MergedEntry& link) {
    std::array<char, PATH_MAX> target{};
    const ssize_t n = ::readlinkat(link.layer, link.path.c_str(), target.data(), target.size());
    if (n < 0)
        return os_error("read a symbolic link", errno);
    return std::string(target.data(), static_cast<std::size_t>(n));
}

bool is_whiteout(const struct stat& info) {
    return S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0);
}

Result<LayerView::Step> LayerView::look(const MergedFolder& folder, const std::string& name) const {
    Step step;
    const std::string path = path_in(folder.path, name);
    for (const int layer : folder.layers) {
        if (++looks_ > kMaxLooks)
            return Error(Errc::TooLarge, "too many links and folders to be looked for");
        struct stat info{};
        if (::fstatat(layer, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT)
                continue;
            if (errno == ENAMETOOLONG)
                return refuse("its path is too long", ENAMETOOLONG);
            return os_error("look at a part of its path", errno);
        }
        if (is_whiteout(info) || (step.entry && !S_ISDIR(info.st_mode)))
            break;
        if (!step.entry)
            step.entry = MergedEntry{.layer = layer, .path = path, .info = info};
        if (!S_ISDIR(info.st_mode))
            break;
        step.merged.push_back(layer);
        RAIND_TRY(const bool opaque, is_opaque(layer, path));
        if (opaque)
            break;
    }
    return step;
}

Result<std::vector<MergedFolder>> LayerView::resolve(const std::vector<std::string>& parts) const {
    std::vector<MergedFolder> way = {{.path = ".", .layers = roots_}};
    std::vector<std::string> left;
    push(left, parts);
    int links = 0;
    int parts_seen = 0;
    bool by_own_link = false;
    while (!left.empty()) {
        if (++parts_seen > kMaxParts)
            return refuse("its links make too long a path", ENAMETOOLONG);
        const std::string part = std::move(left.back());
        left.pop_back();
        if (part.empty() || part == ".")
            continue;
        if (part == "..") {
            if (way.size() == 1 && by_own_link)
                return leaves();
            if (way.size() > 1)
                way.pop_back();
            continue;
        }
        RAIND_TRY(Step step, look(way.back(), part));
        if (step.entry && S_ISLNK(step.entry->info.st_mode)) {
            if (++links > kMaxLinks)
                return refuse("too many symbolic links in its path", ELOOP);
            RAIND_TRY(const std::string target, read_link(*step.entry));
            by_own_link |= step.entry->layer == roots_.front();
            if (by_own_link && target.starts_with('/'))
                return leaves();
            if (target.starts_with('/'))
                way.resize(1);
            push(left, split(target, '/'));
            continue;
        }
        if (step.entry && !S_ISDIR(step.entry->info.st_mode))
            return refuse("a part of its path is not a folder", ENOTDIR);
        if (way.size() > max_depth_)
            return refuse(fmt::format("more than {} folders deep", max_depth_), ENAMETOOLONG);
        way.push_back({.path = path_in(way.back().path, part), .layers = std::move(step.merged)});
    }
    return way;
}

Result<std::optional<MergedEntry>> LayerView::find(const MergedFolder& folder,
                                                   const std::string& name) const {
    RAIND_TRY(Step step, look(folder, name));
    return std::move(step.entry);
}

}  // namespace raind::image
