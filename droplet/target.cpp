// Mount points inside a container's root. See rootfs.h.
#include <deque>
#include <fcntl.h>
#include <limits.h>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include "droplet/rootfs.h"
#include "droplet/syscalls.h"

namespace raind::droplet {

namespace {

constexpr int kMaxLinks = 40;

std::deque<std::string> components(const std::string& path) {
    std::deque<std::string> out;
    std::istringstream stream(path);
    for (std::string part; std::getline(stream, part, '/');)
        if (!part.empty() && part != ".")
            out.push_back(part);
    return out;
}

Status make_one(int parent, const std::string& name, TargetKind kind) {
    if (kind == TargetKind::Folder)
        return ::mkdirat(parent, name.c_str(), 0755) == 0 ? Status{} : os_error("make " + name);
    const UniqueFd fd(
        ::openat(parent, name.c_str(), O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644));
    return fd ? Status{} : os_error("make " + name);
}

// Walks component by component. `done` is a path without links that exists inside the root.
class Walk {
  public:
    Walk(int root, const std::string& path) : root_(root), rest_(components(path)) {}

    Result<UniqueFd> run(TargetKind kind) {
        while (!rest_.empty()) {
            const std::string name = rest_.front();
            rest_.pop_front();
            if (name == "..") {
                done_ =
                    done_.substr(0, done_.rfind('/') == std::string::npos ? 0 : done_.rfind('/'));
                continue;
            }
            RAIND_CHECK(step(name, rest_.empty() ? kind : TargetKind::Folder));
        }
        return open_in_root(root_, done_.empty() ? "/" : done_, O_PATH, Links::Refuse);
    }

  private:
    Status step(const std::string& name, TargetKind kind) {
        RAIND_TRY(const UniqueFd parent, open_in_root(root_, done_.empty() ? "/" : done_,
                                                      O_PATH | O_DIRECTORY, Links::Refuse));
        struct stat info{};
        if (::fstatat(parent.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno != ENOENT)
                return os_error(name);
            RAIND_CHECK(make_one(parent.get(), name, kind));
        } else if (S_ISLNK(info.st_mode)) {
            return follow(parent.get(), name);
        }
        done_ += (done_.empty() ? "" : "/") + name;
        return {};
    }

    Status follow(int parent, const std::string& name) {
        if (++links_ > kMaxLinks)
            return os_error(name, ELOOP);
        std::string text(PATH_MAX, '\0');
        const ssize_t n = ::readlinkat(parent, name.c_str(), text.data(), text.size());
        if (n < 0)
            return os_error(name);
        text.resize(static_cast<std::size_t>(n));
        const auto parts = components(text);
        rest_.insert(rest_.begin(), parts.begin(), parts.end());
        if (text.starts_with('/'))
            done_.clear();
        return {};
    }

    int root_;
    std::deque<std::string> rest_;
    std::string done_;
    int links_ = 0;
};

}  // namespace

Result<UniqueFd> ensure_target(int root, const std::string& path, TargetKind kind) {
    return Walk(root, path).run(kind).context(path);
}

}  // namespace raind::droplet
