#include "droplet/cgroup.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <poll.h>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include "droplet/syscalls.h"
#include "userspace/common/fs.h"

namespace raind::droplet {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kRemovalLimit{10};

struct DirCloser {
    void operator()(DIR* dir) const { ::closedir(dir); }
};

std::vector<std::string> words_of(const std::string& file) {
    std::vector<std::string> out;
    const auto text = read_file(file);
    std::istringstream stream(text ? *text : std::string());
    for (std::string word; stream >> word;)
        out.push_back(word);
    return out;
}

bool populated(const std::string& path) {
    const auto text = read_file(path + "/cgroup.events");
    return text && text->find("populated 1") != std::string::npos;
}

// Waits on cgroup.events until the last member has gone.
void wait_unpopulated(const std::string& path, Clock::time_point deadline) {
    const UniqueFd events(::open((path + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
    if (!events)
        return;
    while (populated(path)) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0)
            return;
        pollfd entry{events.get(), POLLPRI, 0};
        // A second bound: the event may have come between the read and the poll.
        ::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 50)));
        char byte = 0;
        static_cast<void>(::pread(events.get(), &byte, 1, 0));
    }
}

std::vector<std::string> children_of(const std::string& path) {
    std::vector<std::string> out;
    const std::unique_ptr<DIR, DirCloser> dir(::opendir(path.c_str()));
    while (dir) {
        const dirent* entry = ::readdir(dir.get());
        if (entry == nullptr)
            break;
        const std::string name = entry->d_name;
        if (entry->d_type == DT_DIR && name != "." && name != "..")
            out.push_back(path + "/" + name);
    }
    return out;
}

// NOLINTNEXTLINE(misc-no-recursion): the depth is that of the cgroup tree.
Status remove_folder(const std::string& path, Clock::time_point deadline) {
    for (const std::string& child : children_of(path))
        RAIND_CHECK(remove_folder(child, deadline));
    while (::rmdir(path.c_str()) != 0) {
        if (errno == ENOENT)
            return {};
        if (errno != EBUSY || Clock::now() >= deadline)
            return os_error("remove cgroup " + path);
        wait_unpopulated(path, deadline);
        // Members that are past their exit but not yet off the list also give EBUSY.
        ::poll(nullptr, 0, 1);
    }
    return {};
}

// A controller is enabled from the top down; where it cannot be, the setting's own file is missing
// later, which is the error that names the key.
void enable_controller(const std::string& parent, const std::string& controller) {
    const auto available = words_of(parent + "/cgroup.controllers");
    if (std::ranges::find(available, controller) == available.end())
        return;
    const auto enabled = words_of(parent + "/cgroup.subtree_control");
    if (std::ranges::find(enabled, controller) == enabled.end())
        static_cast<void>(write_existing(parent + "/cgroup.subtree_control", "+" + controller));
}

Status make_folders(const std::string& mount, const std::string& path,
                    const std::vector<std::string>& controllers, Cgroup& cgroup) {
    std::string at = mount;
    std::istringstream parts(path.substr(mount.size()));
    for (std::string part; std::getline(parts, part, '/');) {
        if (part.empty())
            continue;
        for (const std::string& controller : controllers)
            enable_controller(at, controller);
        at += "/" + part;
        if (::mkdir(at.c_str(), 0755) == 0)
            cgroup.made.push_back(at);
        else if (errno != EEXIST)
            return os_error("make cgroup " + at);
    }
    return {};
}

Status apply_settings(const Spec& spec, const std::string& path, Logger& log) {
    for (const CgroupSetting& setting : spec.cgroup_settings) {
        const std::string file = path + "/" + setting.file;
        const auto written = write_existing(file, setting.value);
        if (written)
            continue;
        const int err = written.error().os_error();
        const std::string why = err == ENOENT ? "the cgroup v2 hierarchy lacks the controller \"" +
                                                    setting.file.substr(0, setting.file.find('.')) +
                                                    "\" for " + setting.file
                                              : written.error().message();
        if (!spec.soft_limits)
            return Error(Errc::Unsupported, setting.key + ": " + why, err);
        log.warning(setting.key + ": not set: " + why);
    }
    return {};
}

}  // namespace

Result<std::string> cgroup2_mount() {
    const auto text = read_file("/proc/self/mountinfo");
    std::istringstream lines(text ? *text : std::string());
    for (std::string line; std::getline(lines, line);) {
        const auto separator = line.find(" - ");
        if (separator == std::string::npos || !line.substr(separator + 3).starts_with("cgroup2 "))
            continue;
        std::istringstream fields(line);
        std::string id, parent, device, root, point;
        fields >> id >> parent >> device >> root >> point;
        if (root == "/")
            return point;
    }
    return Error(Errc::NotFound, "no cgroup v2 hierarchy is mounted");
}

Result<std::string> cgroup_folder(const std::string& mount, const std::string& cgroups_path,
                                  const std::string& id) {
    std::string relative = cgroups_path;
    if (relative.empty())
        relative = "/droplet/" + id;
    else if (relative[0] != '/')
        relative = "/droplet/" + relative;
    // Cleaned lexically as an absolute path: ".." never climbs above the mount.
    relative = std::filesystem::path(relative).lexically_normal().string();
    while (relative.size() > 1 && relative.back() == '/')
        relative.pop_back();
    if (relative == "/")
        return Error(Errc::InvalidArgument,
                     "linux.cgroupsPath: the root of the hierarchy cannot be a container's cgroup");
    return mount + relative;
}

Status create_cgroup(const Spec& spec, const std::string& id, Logger& log, Cgroup& cgroup) {
    auto mount = cgroup2_mount();
    if (!mount) {
        if (!spec.cgroup_settings.empty() && !spec.soft_limits)
            return std::move(mount.error()).context(spec.cgroup_settings.front().key);
        log.warning("no cgroup: " + mount.error().message());
        return {};
    }
    RAIND_TRY(cgroup.path, cgroup_folder(*mount, spec.cgroups_path, id));
    std::vector<std::string> controllers;
    for (const CgroupSetting& setting : spec.cgroup_settings) {
        const std::string controller = setting.file.substr(0, setting.file.find('.'));
        if (std::ranges::find(controllers, controller) == controllers.end())
            controllers.push_back(controller);
    }
    // A neighbour's delete may remove a parent that is empty at this moment.
    for (int attempt = 0;; ++attempt) {
        cgroup.made.clear();
        auto made = make_folders(*mount, cgroup.path, controllers, cgroup);
        if (made)
            break;
        if (made.error().os_error() != ENOENT || attempt == 16)
            return made;
    }
    const bool is_new = !cgroup.made.empty() && cgroup.made.back() == cgroup.path;
    if (!is_new && populated(cgroup.path))
        return Error(Errc::Conflict, "linux.cgroupsPath: " + cgroup.path + " has members already");
    const auto frozen = read_file(cgroup.path + "/cgroup.freeze");
    if (!is_new && frozen && frozen->starts_with("1"))
        return Error(Errc::Conflict, "linux.cgroupsPath: " + cgroup.path + " is frozen");
    RAIND_CHECK(apply_settings(spec, cgroup.path, log));
    cgroup.fd.reset(::open(cgroup.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!cgroup.fd)
        return os_error(cgroup.path);
    if (!spec.device_rules.empty())
        RAIND_CHECK(attach_device_rules(spec.device_rules, cgroup.fd.get()));
    return {};
}

Status kill_cgroup(const std::string& path) {
    if (path.empty() || ::access(path.c_str(), F_OK) != 0)
        return {};
    return write_existing(path + "/cgroup.kill", "1");
}

Status remove_cgroup(const std::string& path, const std::vector<std::string>& made) {
    if (!path.empty())
        RAIND_CHECK(remove_folder(path, Clock::now() + kRemovalLimit));
    for (auto it = made.rbegin(); it != made.rend(); ++it)
        ::rmdir(it->c_str());
    return {};
}

Result<std::string> cgroup_of(int pid) {
    RAIND_TRY(const std::string mount, cgroup2_mount());
    RAIND_TRY(const std::string text, read_file("/proc/" + std::to_string(pid) + "/cgroup"));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("0::"))
            return mount + line.substr(3);
    return Error(Errc::NotFound, "process " + std::to_string(pid) + " has no v2 cgroup");
}

Status join_cgroup(const std::string& path, int pid) {
    return write_existing(path + "/cgroup.procs", std::to_string(pid));
}

long oom_kills(const std::string& path) {
    const auto words = words_of(path + "/memory.events");
    const auto key = std::ranges::find(words, "oom_kill");
    if (key == words.end() || key + 1 == words.end())
        return 0;
    return std::strtol((key + 1)->c_str(), nullptr, 10);
}

}  // namespace raind::droplet
