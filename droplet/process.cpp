#include "droplet/process.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <memory>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "droplet/syscalls.h"
#include "droplet/users.h"
#include "userspace/common/fs.h"

namespace raind::droplet {

namespace {

constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct CapFree {
    void operator()(void* caps) const { cap_free(caps); }
};
using Caps = std::unique_ptr<std::remove_pointer_t<cap_t>, CapFree>;

Status set_flag(cap_t caps, cap_flag_t flag, std::uint64_t mask) {
    for (cap_value_t cap = 0; cap < cap_max_bits() && cap < 64; ++cap)
        if ((mask >> cap & 1U) != 0 && cap_set_flag(caps, flag, 1, &cap, CAP_SET) != 0)
            return os_error("process.capabilities");
    return {};
}

Status set_capabilities(std::uint64_t permitted, std::uint64_t effective,
                        std::uint64_t inheritable) {
    const Caps caps(cap_init());
    if (!caps)
        return os_error("process.capabilities");
    RAIND_CHECK(set_flag(caps.get(), CAP_PERMITTED, permitted));
    RAIND_CHECK(set_flag(caps.get(), CAP_EFFECTIVE, effective));
    RAIND_CHECK(set_flag(caps.get(), CAP_INHERITABLE, inheritable));
    if (cap_set_proc(caps.get()) != 0)
        return os_error("process.capabilities: the runtime itself lacks one of them");
    return {};
}

// What the process has now, as a mask.
std::uint64_t own_permitted() {
    const Caps caps(cap_get_proc());
    std::uint64_t mask = 0;
    for (cap_value_t cap = 0; caps && cap < cap_max_bits() && cap < 64; ++cap) {
        cap_flag_value_t value = CAP_CLEAR;
        if (cap_get_flag(caps.get(), cap, CAP_PERMITTED, &value) == 0 && value == CAP_SET)
            mask |= 1ULL << cap;
    }
    return mask;
}

Status drop_bounding(std::uint64_t keep) {
    for (cap_value_t cap = 0; cap < cap_max_bits(); ++cap)
        if ((keep >> cap & 1U) == 0 && cap_get_bound(cap) == 1 && cap_drop_bound(cap) != 0)
            return os_error("process.capabilities.bounding");
    return {};
}

// A name that this kernel lacks is left out; one that is not inheritable cannot be ambient.
Status raise_ambient(const CapabilitySets& sets) {
    static_cast<void>(cap_reset_ambient());
    for (cap_value_t cap = 0; cap < cap_max_bits() && cap < 64; ++cap)
        if ((sets.ambient & sets.inheritable & sets.permitted) >> cap & 1U)
            if (cap_set_ambient(cap, CAP_SET) != 0)
                return os_error("process.capabilities.ambient");
    return {};
}

std::string value_of(const std::vector<std::string>& env, std::string_view name) {
    for (const std::string& entry : env)
        if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
            return entry.substr(name.size() + 1);
    return {};
}

bool has_name(const std::vector<std::string>& env, std::string_view name) {
    return std::ranges::any_of(env, [&](const std::string& entry) {
        return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
    });
}

// 0 or the errno of "can the present identity execute this".
int check_executable(const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0)
        return errno;
    if (!S_ISREG(info.st_mode))
        return EACCES;
    return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

// Pipes and files that create has given to the container's root: a program may open its
// /dev/stdout again.
void give_own_streams(std::uint32_t uid) {
    for (int fd = 0; fd <= 2; ++fd) {
        struct stat info{};
        if (::fstat(fd, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISREG(info.st_mode)))
            static_cast<void>(!::fchown(fd, uid, static_cast<gid_t>(-1)));
    }
}

// "unconfined", or "NAME (enforce)"; other modules and none answer otherwise.
bool apparmor_answers(int proc) {
    const UniqueFd fd(::openat(proc, "self/attr/current", O_RDONLY | O_CLOEXEC));
    std::array<char, 256> text{};
    const ssize_t n = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
    const std::string_view label(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    return label.starts_with("unconfined") || label.find(" (") != std::string_view::npos;
}

LaunchError not_found(const std::string& text) {
    return LaunchError{Error(Errc::NotFound, text, ENOENT), 127};
}

LaunchError launch_error(const std::string& name, const std::string& path, int err) {
    const std::string text = "exec: \"" + name + "\": " + path + ": " + errno_text(err);
    if (err == ENOENT || err == ENOTDIR || err == ELOOP)
        return not_found(err == ENOENT ? text : text + " (no such file or directory)");
    return LaunchError{Error(Errc::Forbidden, text, err), 126};
}

}  // namespace

std::vector<char*> c_strings(const std::vector<std::string>& strings) {
    std::vector<char*> out;
    out.reserve(strings.size() + 1);
    for (const std::string& item : strings)
        out.push_back(const_cast<char*>(item.c_str()));
    out.push_back(nullptr);
    return out;
}

void reset_signals() {
    for (int number = 1; number < NSIG; ++number)
        ::signal(number, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

Status apply_limits(int pid, const Process& process) {
    for (const Rlimit& limit : process.rlimits) {
        rlimit now{};
        const auto resource = static_cast<__rlimit_resource>(limit.resource);
        const rlimit wanted{limit.soft, limit.hard};
        const bool known = ::prlimit(pid, resource, nullptr, &now) == 0;
        // The present values need no right to be kept.
        if (known && now.rlim_cur == wanted.rlim_cur && now.rlim_max == wanted.rlim_max)
            continue;
        if (::prlimit(pid, resource, &wanted, nullptr) != 0)
            return os_error("process.rlimits: " + limit.name + " from " +
                            std::to_string(now.rlim_max) + " to " + std::to_string(limit.hard));
    }
    if (!process.oom_score_adj)
        return {};
    const std::string file = "/proc/" + std::to_string(pid) + "/oom_score_adj";
    const std::string wanted = std::to_string(*process.oom_score_adj);
    const auto now = read_file(file);
    if (now && *now == wanted + "\n")
        return {};
    return write_existing(file, wanted)
        .context("process.oomScoreAdj: from " + (now ? now->substr(0, now->find('\n')) : "?") +
                 " to " + wanted);
}

std::optional<LaunchError> look_up_program(const std::string& name,
                                           const std::vector<std::string>& env,
                                           std::string& program) {
    if (name.find('/') != std::string::npos) {
        program = name;
        const int err = check_executable(name);
        if (err == 0)
            return std::nullopt;
        return launch_error(name, name, err);
    }
    std::string path = has_name(env, "PATH") ? value_of(env, "PATH") : std::string(kDefaultPath);
    int refused = 0;
    path += ":";
    for (auto colon = path.find(':'); colon != std::string::npos; colon = path.find(':')) {
        const std::string folder = path.substr(0, colon);
        path.erase(0, colon + 1);
        program = (folder.empty() ? "." : folder) + "/" + name;
        const int err = check_executable(program);
        if (err == 0)
            return std::nullopt;
        if (err == EACCES)
            refused = err;
    }
    if (refused != 0)
        return launch_error(name, name, refused);
    return not_found("exec: \"" + name + "\": executable file not found in $PATH (" + name +
                     ": not found in PATH)");
}

// Effective identity only: the saved id and the permitted set lead back.
Status Launch::look_like_user() {
    const User& user = process_.user;
    const CapabilitySets sets = process_.capabilities.value_or(CapabilitySets{});
    if (::setgroups(user.additional_gids.size(), user.additional_gids.data()) != 0)
        return os_error("process.user.additionalGids: a group outside of the container's ids");
    if (::setresgid(static_cast<gid_t>(-1), user.gid, 0) != 0)
        return os_error("process.user.gid");
    if (::setresuid(static_cast<uid_t>(-1), user.uid, 0) != 0)
        return os_error("process.user.uid");
    const std::uint64_t permitted = own_permitted();
    return set_capabilities(permitted, permitted & sets.effective, 0);
}

Status Launch::look_like_root() {
    if (::setresuid(static_cast<uid_t>(-1), 0, 0) != 0)
        return os_error("seteuid");
    const std::uint64_t permitted = own_permitted();
    RAIND_CHECK(set_capabilities(permitted, permitted, 0));
    if (::setresgid(static_cast<gid_t>(-1), 0, 0) != 0)
        return os_error("setegid");
    return {};
}

Status Launch::enter_cwd() {
    const char* cwd = process_.cwd.c_str();
    if (::chdir(cwd) != 0 && errno == ENOENT) {
        // Made as root, then given to the user.
        RAIND_CHECK(look_like_root());
        RAIND_CHECK(make_dirs(process_.cwd, 0755).context("process.cwd"));
        if (::lchown(cwd, process_.user.uid, process_.user.gid) != 0)
            return os_error("process.cwd");
        RAIND_CHECK(look_like_user());
    }
    if (::chdir(cwd) != 0) {
        const int first = errno;
        RAIND_CHECK(look_like_root());
        const bool entered = ::chdir(cwd) == 0;
        RAIND_CHECK(look_like_user());
        if (!entered)
            return os_error("process.cwd: " + process_.cwd, first);
    }
    // A folder outside the root shows as "(unreachable)".
    char* now = ::getcwd(nullptr, 0);
    const bool inside = now != nullptr && now[0] == '/';
    std::free(now);
    if (!inside)
        return Error(Errc::Forbidden, "process.cwd: " + process_.cwd + " is outside of the root");
    return {};
}

std::optional<LaunchError> Launch::find_program() {
    return look_up_program(process_.args[0], process_.env, program_);
}

// Who the user is by the container's own files, and where it is at home.
Status Launch::settle_user() {
    User& user = process_.user;
    const bool homeless = value_of(process_.env, "HOME").empty();
    if (!user.lookup && !homeless)
        return {};
    const Accounts accounts = read_accounts();
    if (user.lookup) {
        RAIND_TRY(const Identity found, find_identity(*user.lookup, accounts));
        user.uid = found.uid;
        user.gid = found.gid;
        user.additional_gids.insert(user.additional_gids.end(), found.groups.begin(),
                                    found.groups.end());
        give_own_streams(user.uid);
    }
    if (homeless) {
        std::erase(process_.env, "HOME=");
        process_.env.push_back("HOME=" + home_of(accounts.passwd, user.uid));
    }
    return {};
}

std::optional<LaunchError> Launch::prepare() {
    ::umask(process_.user.umask.value_or(0022));
    if (auto status = settle_user(); !status)
        return LaunchError{std::move(status.error()), kBadRequest};
    // setgroups must be allowed and done as root.
    if (auto status = look_like_user(); !status)
        return LaunchError{std::move(status.error()), 0};
    auto entered = enter_cwd();
    auto found = entered ? find_program() : std::nullopt;
    if (auto status = look_like_root(); !status)
        return LaunchError{std::move(status.error()), 0};
    if (!entered)
        return LaunchError{std::move(entered.error()), 0};
    return found;
}

Status Launch::open_lsm() {
    if (process_.apparmor_profile.empty())
        return {};
    const UniqueFd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct statfs info{};
    if (!proc || ::fstatfs(proc.get(), &info) != 0 || info.f_type != PROC_SUPER_MAGIC)
        return Error(Errc::Internal, "/proc is not procfs");
    lsm_.reset(::openat(proc.get(), "self/attr/apparmor/exec", O_WRONLY | O_CLOEXEC));
    // The older file is of whatever security module answers first.
    if (!lsm_ && errno == ENOENT && apparmor_answers(proc.get()))
        lsm_.reset(::openat(proc.get(), "self/attr/exec", O_WRONLY | O_CLOEXEC));
    if (!lsm_)
        return os_error("process.apparmorProfile: AppArmor is not there", ENOENT);
    return {};
}

Status Launch::become_user() {
    const CapabilitySets sets = process_.capabilities.value_or(CapabilitySets{});
    const User& user = process_.user;
    RAIND_CHECK(drop_bounding(sets.bounding));
    if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
        return os_error("PR_SET_KEEPCAPS");
    if (::setgroups(user.additional_gids.size(), user.additional_gids.data()) != 0)
        return os_error("process.user.additionalGids");
    if (::setresgid(user.gid, user.gid, user.gid) != 0)
        return os_error("process.user.gid");
    if (::setresuid(user.uid, user.uid, user.uid) != 0)
        return os_error("process.user.uid");
    RAIND_CHECK(set_capabilities(sets.permitted, sets.effective, sets.inheritable));
    return raise_ambient(sets);
}

LaunchError Launch::run() {
    const auto steps = [&]() -> Status {
        if (lsm_)
            RAIND_CHECK(write_all(lsm_.get(), "exec " + process_.apparmor_profile)
                            .context("process.apparmorProfile"));
        // Without no_new_privs only a privileged process may load a filter.
        if (seccomp_ && !process_.no_new_privileges)
            RAIND_CHECK(load_seccomp(*seccomp_));
        RAIND_CHECK(become_user());
        if (process_.no_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
            return os_error("process.noNewPrivileges");
        return {};
    };
    if (auto done = steps(); !done)
        return LaunchError{std::move(done.error()), 0};
    const auto args = c_strings(process_.args);
    const auto env = c_strings(process_.env);
    // Nothing that the filter may forbid comes after it, except execve.
    if (seccomp_ && process_.no_new_privileges)
        if (auto loaded = load_seccomp(*seccomp_); !loaded)
            return LaunchError{std::move(loaded.error()), 0};
    ::execve(program_.c_str(), args.data(), env.data());
    return launch_error(process_.args[0], program_, errno);
}

}  // namespace raind::droplet
