#include "droplet/state.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <memory>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "droplet/spec.h"
#include "droplet/syscalls.h"
#include "userspace/common/fs.h"
#include "userspace/common/json.h"

namespace raind::droplet {

namespace {

constexpr std::chrono::seconds kLockLimit{30};

struct DirCloser {
    void operator()(DIR* dir) const { ::closedir(dir); }
};

Error unknown(const std::string& id) {
    return Error(Errc::NotFound, "container " + id + " does not exist");
}

Json mark_json(const ProcessMark& mark) {
    return Json{{"pid", mark.pid}, {"startTime", mark.start_time}};
}

Result<ProcessMark> read_mark(const JsonReader& reader, std::string_view key) {
    ProcessMark mark;
    const Json* object = reader.child(key);
    if (object == nullptr || !object->is_object())
        return mark;
    const JsonReader part(*object, reader.path_of(key));
    RAIND_TRY(const std::int64_t pid, part.integer("pid", 0, INT32_MAX));
    RAIND_TRY(const std::int64_t start, part.integer("startTime", 0, INT64_MAX));
    mark.pid = static_cast<int>(pid);
    mark.start_time = static_cast<unsigned long long>(start);
    return mark;
}

Json state_json(const State& state) {
    Json out;
    out["ociVersion"] = state.oci_version;
    out["id"] = state.id;
    out["bundle"] = state.bundle;
    out["rootfs"] = state.rootfs;
    out["created"] = state.created;
    out["bootId"] = state.boot_id;
    out["creating"] = state.creating;
    out["hooksRan"] = state.hooks_ran;
    out["init"] = mark_json(state.init);
    out["creator"] = mark_json(state.creator);
    out["shimPid"] = state.shim_pid;
    out["cgroup"] = state.cgroup;
    out["cgroupMade"] = state.cgroup_made;
    out["annotations"] = state.annotations;
    return out;
}

Result<State> parse_state(const std::string& text) {
    RAIND_TRY(const Json value, parse_json(text));
    const JsonReader reader(value, "state.json");
    RAIND_CHECK(reader.expect_object());
    State state;
    RAIND_TRY(state.oci_version, reader.string("ociVersion"));
    RAIND_TRY(state.id, reader.string("id"));
    RAIND_TRY(state.bundle, reader.string("bundle"));
    RAIND_TRY(state.rootfs, reader.string("rootfs", ""));
    RAIND_TRY(state.created, reader.string("created", ""));
    RAIND_TRY(state.boot_id, reader.string("bootId"));
    RAIND_TRY(state.creating, reader.boolean("creating", false));
    RAIND_TRY(state.hooks_ran, reader.boolean("hooksRan", false));
    RAIND_TRY(state.init, read_mark(reader, "init"));
    RAIND_TRY(state.creator, read_mark(reader, "creator"));
    RAIND_TRY(const std::int64_t shim, reader.integer("shimPid", 0, INT32_MAX, 0));
    state.shim_pid = static_cast<int>(shim);
    RAIND_TRY(state.cgroup, reader.string("cgroup", ""));
    RAIND_TRY(state.cgroup_made, reader.strings("cgroupMade"));
    if (const Json* annotations = reader.child("annotations");
        annotations != nullptr && annotations->is_object())
        for (const auto& [key, item] : annotations->items())
            if (item.is_string())
                state.annotations[key] = item.get_ref<const std::string&>();
    return state;
}

std::string hidden_prefix(const std::string& id) {
    return "." + id + ".new.";
}

// A record lock: it belongs to the process, so children do not hold it and death releases it.
bool try_lock(int fd) {
    struct flock request{};
    request.l_type = F_WRLCK;
    request.l_whence = SEEK_SET;
    return ::fcntl(fd, F_SETLK, &request) == 0;
}

int lock_holder(int fd) {
    struct flock request{};
    request.l_type = F_WRLCK;
    request.l_whence = SEEK_SET;
    if (::fcntl(fd, F_GETLK, &request) != 0 || request.l_type == F_UNLCK)
        return 0;
    return request.l_pid;
}

Status make_contents(const std::string& path, const State& state, const std::string& config) {
    RAIND_CHECK(write_file_rename(path + "/config.json", config, 0600));
    RAIND_CHECK(write_file_rename(path + "/state.json", dump_json(state_json(state)), 0600));
    for (const char* name : {kExecFifo, kResultFifo})
        if (::mkfifo((path + "/" + name).c_str(), 0600) != 0)
            return os_error(path + "/" + name);
    return {};
}

}  // namespace

std::string to_string(RunStatus status) {
    switch (status) {
        case RunStatus::Creating:
            return "creating";
        case RunStatus::Created:
            return "created";
        case RunStatus::Running:
            return "running";
        case RunStatus::Stopped:
            break;
    }
    return "stopped";
}

Result<ProcessMark> mark_of(int pid) {
    RAIND_TRY(const ProcessStat stat, process_stat(pid));
    return ProcessMark{pid, stat.start_time};
}

bool is_alive(const ProcessMark& mark) {
    if (mark.pid <= 0)
        return false;
    const auto stat = process_stat(mark.pid);
    return stat && stat->start_time == mark.start_time && stat->state != 'Z' && stat->state != 'X';
}

Result<UniqueFd> open_process(const ProcessMark& mark) {
    if (mark.pid <= 0)
        return Error(Errc::NotFound, "no such process", ESRCH);
    RAIND_TRY(UniqueFd fd, pidfd_open(mark.pid));
    // The descriptor is fixed now: if the start time still fits, it is the right process.
    if (!is_alive(mark))
        return Error(Errc::NotFound, "process " + std::to_string(mark.pid) + ": no such process",
                     ESRCH);
    return fd;
}

Result<StateFolder> StateFolder::make(const std::string& root, const State& state,
                                      const std::string& config) {
    RAIND_CHECK(make_dirs(root, 0700));
    remove_abandoned(root, state.id);
    std::string path = root + "/" + hidden_prefix(state.id) + std::to_string(::getpid());
    if (::mkdir(path.c_str(), 0700) != 0)
        return os_error("make " + path);
    StateFolder folder(path);
    const auto fill = [&]() -> Status {
        RAIND_CHECK(make_contents(path, state, config));
        RAIND_CHECK(folder.lock(Wait::Politely));
        const std::string final_path = root + "/" + state.id;
        if (::syscall(SYS_renameat2, AT_FDCWD, path.c_str(), AT_FDCWD, final_path.c_str(),
                      RENAME_NOREPLACE) != 0)
            return errno == EEXIST
                       ? Error(Errc::AlreadyExists, "container " + state.id + " already exists")
                       : os_error("make " + final_path);
        folder.path_ = final_path;
        return {};
    };
    if (auto filled = fill(); !filled) {
        static_cast<void>(remove_tree(path));
        return std::move(filled.error());
    }
    return folder;
}

Result<StateFolder> StateFolder::open(const std::string& root, const std::string& id) {
    RAIND_CHECK(check_container_id(id));
    struct stat info{};
    const std::string path = root + "/" + id;
    if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
        return unknown(id);
    return StateFolder(path);
}

Result<StateFolder> StateFolder::open_locked(const std::string& root, const std::string& id,
                                             Wait wait) {
    RAIND_TRY(StateFolder folder, open(root, id));
    RAIND_CHECK(folder.lock(wait));
    // It may have been deleted, and even made anew, while this command waited.
    struct stat held{};
    struct stat now{};
    if (::fstat(folder.lock_.get(), &held) != 0 || ::stat(folder.file("lock").c_str(), &now) != 0 ||
        held.st_ino != now.st_ino)
        return unknown(id);
    return folder;
}

Status StateFolder::lock(Wait wait) {
    lock_.reset(::open(file("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock_)
        return os_error(file("lock"));
    const auto deadline = std::chrono::steady_clock::now() + kLockLimit;
    while (!try_lock(lock_.get())) {
        if (std::chrono::steady_clock::now() >= deadline)
            return Error(Errc::Conflict, "another command works on " + path_);
        const int holder = lock_holder(lock_.get());
        const auto pidfd = holder > 0 ? pidfd_open(holder) : Result<UniqueFd>(UniqueFd());
        if (!pidfd || !pidfd->valid()) {
            ::poll(nullptr, 0, 1);
            continue;
        }
        // Only while it still holds the lock is it certain who that process is.
        if (wait == Wait::KillHolder && lock_holder(lock_.get()) == holder)
            static_cast<void>(pidfd_signal(pidfd->get(), SIGKILL));
        pidfd_wait(pidfd->get(), 20);
    }
    return {};
}

Result<State> StateFolder::load() const {
    RAIND_TRY(const std::string text, read_file(file("state.json"), 1U << 20));
    return parse_state(text);
}

Status StateFolder::save(const State& state) const {
    return write_file_rename(file("state.json"), dump_json(state_json(state)), 0600);
}

Status StateFolder::remove() {
    // state.json goes last: a folder that still has it can be deleted again.
    for (const char* name : {kExecFifo, kResultFifo, "config.json"})
        ::unlink(file(name).c_str());
    return remove_tree(path_);
}

RunStatus StateFolder::status(const State& state) const {
    if (state.boot_id != boot_id())
        return RunStatus::Stopped;
    if (state.creating)
        return is_alive(state.creator) ? RunStatus::Creating : RunStatus::Stopped;
    if (!is_alive(state.init))
        return RunStatus::Stopped;
    // Until its execve the first process holds the FIFO open (close-on-exec).
    const UniqueFd fifo(::open(file(kExecFifo).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    return fifo ? RunStatus::Created : RunStatus::Running;
}

Result<std::vector<std::string>> list_ids(const std::string& root) {
    std::vector<std::string> out;
    const std::unique_ptr<DIR, DirCloser> dir(::opendir(root.c_str()));
    if (!dir)
        return errno == ENOENT ? Result<std::vector<std::string>>(out) : os_error(root);
    while (const dirent* entry = ::readdir(dir.get()))
        if (valid_container_id(entry->d_name))
            out.emplace_back(entry->d_name);
    std::sort(out.begin(), out.end());
    return out;
}

void remove_abandoned(const std::string& root, const std::string& id) {
    const std::unique_ptr<DIR, DirCloser> dir(::opendir(root.c_str()));
    const std::string prefix = hidden_prefix(id);
    while (dir) {
        const dirent* entry = ::readdir(dir.get());
        if (entry == nullptr)
            break;
        const std::string name = entry->d_name;
        if (!name.starts_with(prefix))
            continue;
        // The number of a living process may be a later one's: then the folder stays for now.
        if (!process_stat(std::atoi(name.c_str() + prefix.size())))
            static_cast<void>(remove_tree(root + "/" + name));
    }
}

std::string oci_state_json(const State& state, const std::string& status, int pid) {
    Json out;
    out["ociVersion"] = state.oci_version;
    out["id"] = state.id;
    out["status"] = status;
    if (pid > 0)
        out["pid"] = pid;
    out["bundle"] = state.bundle;
    out["annotations"] = state.annotations;
    out["rootfs"] = state.rootfs;
    out["created"] = state.created;
    out["owner"] = "root";
    if (state.shim_pid > 0)
        out["shimPid"] = state.shim_pid;
    return dump_json(out);
}

}  // namespace raind::droplet
