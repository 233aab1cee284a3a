#include "userspace/runtime/cgroup.h"

#include <algorithm>
#include <chrono>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "userspace/common/text.h"

namespace raind::runtime {
namespace {

using namespace std::chrono_literals;

Result<stdfs::path> find_mount() {
    RAIND_TRY(const std::string table, read_file("/proc/self/mountinfo"));
    for (const std::string& line : split(table, '\n')) {
        // proc(5): ... mount point is the fifth field, the type follows " - ".
        const auto fields = split(line, ' ');
        const auto dash = std::ranges::find(fields, "-");
        if (fields.size() > 5 && dash != fields.end() && dash + 1 != fields.end() &&
            *(dash + 1) == "cgroup2")
            return stdfs::path(fields[4]);
    }
    return Error(Errc::Unavailable, "no cgroup v2 hierarchy is mounted");
}

bool has_word(const std::string& text, std::string_view word) {
    return std::ranges::any_of(split(trim(text), ' '),
                               [&](const std::string& entry) { return entry == word; });
}

// From the mount down, so that each reaches the containers' groups. One that cannot be had is
// missing in the last subtree_control, which is what counts.
void enable_controllers(const stdfs::path& mount, const stdfs::path& root) {
    stdfs::path here = mount;
    const auto enable = [&] {
        for (const char* name : {"+cpu", "+memory", "+pids", "+io"})
            (void)write_existing(here / "cgroup.subtree_control", name).has_value();
    };
    enable();
    for (const stdfs::path& part : stdfs::relative(root, mount)) {
        here /= part;
        enable();
    }
}

// Members leave asynchronously after cgroup.kill; "populated 0" in cgroup.events says that the last
// is gone.
Status wait_empty(const stdfs::path& group) {
    const stdfs::path events = group / "cgroup.events";
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    RAIND_TRY(const UniqueFd fd, open_file(events, O_RDONLY));
    while (true) {
        RAIND_TRY(const std::string text, read_file(events));
        if (text.find("populated 0") != std::string::npos)
            return {};
        if (std::chrono::steady_clock::now() > deadline)
            return Error(Errc::Internal,
                         fmt::format("{} still has processes after SIGKILL", group.string()));
        std::string dummy(256, '\0');
        (void)!pread(fd.get(), dummy.data(), dummy.size(), 0);
        pollfd event{fd.get(), POLLPRI, 0};
        poll(&event, 1, 100);
    }
}

// NOLINTNEXTLINE(misc-no-recursion): the depth is that of the container's own groups.
Status remove_groups(const stdfs::path& group) {
    std::error_code error;
    for (const auto& entry : stdfs::directory_iterator(group, error))
        if (entry.is_directory(error) && !entry.is_symlink(error))
            RAIND_CHECK(remove_groups(entry.path()));
    for (int tries = 0;; ++tries) {
        if (rmdir(group.c_str()) == 0 || errno == ENOENT)
            return {};
        if (errno != EBUSY || tries == 100)
            return os_error(fmt::format("remove cgroup {}", group.string()));
        std::this_thread::sleep_for(5ms);  // a dying member is still counted for a moment
    }
}

}  // namespace

Result<CgroupTree> CgroupTree::open(const std::string& parent) {
    CgroupTree tree;
    RAIND_TRY(tree.mount_, find_mount());
    tree.parent_ = parent.starts_with('/') ? parent : "/" + parent;
    tree.root_ = tree.mount_ / tree.parent_.substr(1);
    if (tree.parent_ == "/" || tree.parent_.find("..") != std::string::npos)
        return Error(Errc::InvalidArgument, fmt::format("invalid cgroup parent: \"{}\"", parent));
    RAIND_CHECK(make_dirs(tree.root_, 0755));
    enable_controllers(tree.mount_, tree.root_);
    RAIND_TRY(const std::string present, read_file(tree.root_ / "cgroup.subtree_control"));
    std::error_code error;
    tree.limits_ = {.memory = has_word(present, "memory"),
                    .cpu = has_word(present, "cpu"),
                    .pids = has_word(present, "pids"),
                    .swap = stdfs::exists(tree.root_ / "memory.swap.max", error)};
    return tree;
}

std::vector<std::string> CgroupTree::warnings() const {
    std::vector<std::string> out;
    const auto check = [&](bool there, const char* name, const char* what) {
        if (!there)
            out.push_back(fmt::format(
                "the {} limit is not set: cgroup v2 has no {} controller here", what, name));
    };
    check(limits_.memory, "memory", "memory");
    check(limits_.cpu, "cpu", "CPU");
    check(limits_.pids, "pids", "process");
    return out;
}

Result<UniqueFd> CgroupTree::make_shim_group(const std::string& id) {
    const stdfs::path group = root_ / ("shim." + id);
    RAIND_CHECK(make_dirs(group, 0755));
    return open_file(group, O_RDONLY | O_DIRECTORY);
}

Status CgroupTree::seal(const std::string& id) {
    return set_mode(container_dir(id), 0555);
}

Status CgroupTree::destroy(const std::string& name) {
    const stdfs::path group = root_ / name;
    std::error_code error;
    if (!stdfs::exists(group, error))
        return {};
    const auto attempt = [&]() -> Status {
        RAIND_CHECK(write_existing(group / "cgroup.kill", "1"));
        RAIND_CHECK(wait_empty(group));
        return remove_groups(group);
    };
    auto done = attempt();
    // A droplet whose create was cut removes it as well.
    if (!done && !stdfs::exists(group, error) && !error)
        return {};
    return done;
}

Result<std::vector<std::string>> CgroupTree::list() const {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : stdfs::directory_iterator(root_, error))
        if (entry.is_directory(error))
            names.push_back(entry.path().filename().string());
    if (error)
        return os_error(fmt::format("list {}", root_.string()), error.value());
    return names;
}

Status CgroupTree::remove_root() {
    if (rmdir(root_.c_str()) != 0 && errno != ENOENT)
        return os_error(fmt::format("remove cgroup {}", root_.string()));
    return {};
}

}  // namespace raind::runtime
