#include "droplet/audit.h"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "raind/unique_fd.h"

#include "droplet/log.h"
#include "droplet/sha256.h"
#include "userspace/common/fs.h"
#include "userspace/common/json.h"

namespace raind::droplet {

namespace {

constexpr std::size_t kLineLimit = 64U << 10;
constexpr std::size_t kTextLimit = 4096;  // of one value
constexpr std::size_t kWordLimit = 64;    // of one list
constexpr std::size_t kKeptLines = 15'000;
constexpr int kLockAttempts = 20;
constexpr useconds_t kLockPause = 2000;

constexpr std::array<const char*, 7> kNamespaceTypes{"mount", "network", "uts",   "pid",
                                                     "ipc",   "user",    "cgroup"};

std::string bounded(const std::string& text) {
    return text.size() <= kTextLimit ? text : text.substr(0, kTextLimit) + "...";
}

Json bounded(const std::vector<std::string>& words) {
    Json list = Json::array();
    for (std::size_t i = 0; i < std::min(words.size(), kWordLimit); ++i)
        list.push_back(words[i].substr(0, kTextLimit / 8));
    if (words.size() > kWordLimit)
        list.push_back("...");
    return list;
}

void put(Json& json, const char* key, const std::string& text) {
    if (!text.empty())
        json[key] = bounded(text);
}

Json capability_names(std::uint64_t set) {
    Json list = Json::array();
    for (int number = 0; number < 64; ++number)
        if ((set >> number & 1) != 0)
            list.push_back(capability_name(number));
    return list;
}

Json hook_json(const AuditHook& hook) {
    Json json{{"phase", hook.phase},
              {"path", bounded(hook.path)},
              {"args_sha256", hook.args_sha256},
              {"stdin_sha256", hook.stdin_sha256}};
    if (hook.stdin_bytes != 0)
        json["stdin_bytes"] = hook.stdin_bytes;
    if (hook.exit_code != 0)
        json["exit_code"] = hook.exit_code;
    if (hook.duration_ms != 0)
        json["duration_ms"] = hook.duration_ms;
    put(json, "stderr_tail", hook.output_tail);
    return json;
}

// Nothing here waits for ever: a writer that does not get the lock appends without it.
bool lock_briefly(int fd) {
    for (int i = 0; i < kLockAttempts; ++i) {
        if (::flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        ::usleep(kLockPause);
    }
    return false;
}

UniqueFd open_log(const std::string& path) {
    constexpr int kFlags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    UniqueFd fd(::open(path.c_str(), kFlags, 0600));
    if (!fd && errno == ENOENT) {
        ::mkdir(path.substr(0, path.rfind('/')).c_str(), 0700);
        fd.reset(::open(path.c_str(), kFlags, 0600));
    }
    struct stat info{};
    if (fd && (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)))
        fd.reset();
    return fd;
}

// With the lock held. A line that another process appends without it may be lost.
void trim(int fd, const std::string& path, std::size_t size, std::size_t max_bytes) {
    const std::size_t keep = max_bytes / 2;
    std::string text(keep, '\0');
    const ssize_t n = ::pread(fd, text.data(), keep, static_cast<off_t>(size - keep));
    if (n <= 0)
        return;
    text.resize(static_cast<std::size_t>(n));
    std::size_t begin = text.size();
    for (std::size_t lines = 0; begin > 0 && lines <= kKeptLines; --begin)
        lines += text[begin - 1] == '\n' ? 1 : 0;
    // Behind the line end that was met last, or behind the first one: the first line is cut.
    const auto end = text.find('\n', begin);
    if (end != std::string::npos)
        static_cast<void>(
            write_file_rename(path, std::string_view(text).substr(end + 1), 0600).has_value());
}

}  // namespace

std::string audit_facts(const Spec& spec, const std::string& text) {
    Json json = Json::object();
    json["oci"] = {{"config_sha256", sha256_hex(text)}};
    Json namespaces = Json::object();
    for (const char* type : kNamespaceTypes)
        namespaces[type] = spec.has_namespace(type);
    json["namespaces"] = namespaces;
    if (spec.process) {
        const Process& process = *spec.process;
        if (!process.args.empty())
            json["oci"]["process_arg0"] = bounded(process.args[0]);
        if (const auto& sets = process.capabilities)
            json["capabilities"] = {{"bounding", capability_names(sets->bounding)},
                                    {"effective", capability_names(sets->effective)},
                                    {"permitted", capability_names(sets->permitted)},
                                    {"inheritable", capability_names(sets->inheritable)},
                                    {"ambient", capability_names(sets->ambient)}};
        json["lsm"] = {{"apparmor", {{"profile", bounded(process.apparmor_profile)}}}};
    }
    if (spec.seccomp)
        json["seccomp"] = {{"default_action", seccomp_action_name(spec.seccomp->default_action)}};
    return dump_json(json);
}

std::string audit_line(const AuditRecord& record) {
    auto facts = parse_json(record.facts.empty() ? "{}" : record.facts);
    Json json = facts && facts->is_object() ? std::move(*facts) : Json::object();
    json["ts"] = timestamp_now();
    json["log_version"] = "0.1.0";
    json["runtime"] = "droplet";
    json["runtime_version"] = RAIND_VERSION;
    json["event"] = record.event;
    json["container_id"] = bounded(record.container_id);
    put(json, "bundle", record.bundle);
    if (!record.bundle.empty())
        json["config_path"] = bounded(record.bundle + "/config.json");
    put(json, "state_path", record.state_path);
    if (!record.exec_command.empty())
        json["exec_command"] = bounded(record.exec_command);
    if (!record.signals.empty())
        json["signals"] = bounded(record.signals);
    if (record.pid != 0)
        json["pid"] = record.pid;
    if (record.hook != nullptr)
        json["hook"] = hook_json(*record.hook);
    json["result"] = record.good ? "success" : "fail";
    if (!record.good)
        json["error"] = {{"stage", record.stage}, {"message", bounded(record.message)}};
    std::string line = dump_json(json);
    if (line.size() < kLineLimit)
        return line;
    for (const char* key : {"exec_command", "hook", "capabilities"})
        json.erase(key);
    line = dump_json(json);
    return line.size() < kLineLimit ? line : std::string();
}

void AuditLog::write(const AuditRecord& record) const {
    if (path_.empty())
        return;
    const std::string line = audit_line(record) + "\n";
    UniqueFd fd = open_log(path_);
    if (!fd)
        return;
    const bool locked = lock_briefly(fd.get());
    struct stat held{};
    struct stat named{};
    // Somebody may have trimmed it between the opening and the lock.
    if (::fstat(fd.get(), &held) == 0 &&
        (::stat(path_.c_str(), &named) != 0 || named.st_ino != held.st_ino)) {
        fd = open_log(path_);
        if (!fd || ::fstat(fd.get(), &held) != 0)
            return;
    }
    const ssize_t n = ::write(fd.get(), line.data(), line.size());
    const auto size = static_cast<std::size_t>(held.st_size);
    if (n >= 0 && static_cast<std::size_t>(n) < line.size()) {
        // The disk is full: no half of a line stays.
        if (locked)
            static_cast<void>(!::ftruncate(fd.get(), held.st_size));
        return;
    }
    if (locked && size + line.size() > max_bytes_)
        trim(fd.get(), path_, size + line.size(), max_bytes_);
}

}  // namespace raind::droplet
