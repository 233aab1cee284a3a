#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "droplet/cgroup.h"
#include "droplet/container.h"
#include "droplet/hooks.h"
#include "droplet/host_mounts.h"
#include "droplet/init.h"
#include "droplet/process.h"
#include "droplet/sha256.h"
#include "droplet/syscalls.h"
#include "userspace/common/fs.h"

namespace raind::droplet {

namespace {

constexpr std::string_view kRaindPrefix = "io.raind.";

// Namespaces that clone makes; the cgroup namespace is made by the process itself.
std::uint64_t new_namespace_flags(const Spec& spec) {
    std::uint64_t flags = 0;
    for (const Namespace& entry : spec.namespaces)
        if (entry.path.empty() && entry.flag != CLONE_NEWCGROUP)
            flags |= static_cast<std::uint64_t>(entry.flag);
    return flags;
}

// Other namespaces first while the host's rights are there, then the user namespace, then those
// that only its owner may enter.
Status join_all(const std::vector<JoinedNamespace>& joined) {
    std::vector<const JoinedNamespace*> later;
    const JoinedNamespace* user = nullptr;
    for (const JoinedNamespace& entry : joined) {
        if (entry.flag == CLONE_NEWUSER)
            user = &entry;
        else if (!setns_all(entry.fd.get(), entry.flag))
            later.push_back(&entry);
    }
    if (user != nullptr)
        RAIND_CHECK(setns_all(user->fd.get(), CLONE_NEWUSER).context("user namespace"));
    for (const JoinedNamespace* entry : later)
        RAIND_CHECK(setns_all(entry->fd.get(), entry->flag).context("namespace to join"));
    return {};
}

// The descriptors that systemd's activation handed over, to be kept like --preserve-fds.
void keep_activation(Spec& spec, int& preserve_fds) {
    const char* count = ::getenv("LISTEN_FDS");
    int number = 0;
    if (count == nullptr || !spec.process)
        return;
    const std::string_view text = count;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number <= 0 || number > 1024)
        return;
    preserve_fds += number;
    spec.process->env.push_back("LISTEN_FDS=" + std::string(text));
    spec.process->env.emplace_back("LISTEN_PID=1");
}

Status check_preserved(int count) {
    for (int fd = 3; fd < 3 + count; ++fd)
        if (::fcntl(fd, F_GETFD) < 0)
            return Error(Errc::InvalidArgument,
                         "--preserve-fds: descriptor " + std::to_string(fd) + " is not open");
    return {};
}

class Creation {
  public:
    Creation(const CreateOptions& options, Logger& log, Progress& progress)
        : options_(options), log_(log), progress_(progress) {}

    Result<Created> run() {
        RAIND_CHECK(load());
        progress_.stage = "create_state";
        auto made = StateFolder::make(options_.root, state_, bundle_.text);
        if (!made)
            return std::move(made.error());
        folder_.emplace(std::move(*made));
        if (auto done = build(); !done) {
            undo();
            return std::move(done.error());
        }
        folder_->unlock();
        return Created{state_.init, std::move(pidfd_), state_.cgroup};
    }

  private:
    Status load() {
        progress_.stage = "load_spec";
        RAIND_CHECK(check_container_id(options_.id));
        progress_.bundle = options_.bundle;
        RAIND_TRY(bundle_, load_bundle(options_.bundle, options_.config));
        Spec& spec = bundle_.spec;
        progress_.bundle = bundle_.path;
        progress_.facts = audit_facts(spec, bundle_.text);
        preserve_ = options_.preserve_fds;
        keep_activation(spec, preserve_);
        RAIND_CHECK(check_preserved(preserve_));
        RAIND_TRY(joined_, open_namespaces(spec));
        if (!spec.image) {
            struct stat info{};
            if (::stat(spec.root_path.c_str(), &info) != 0)
                return os_error("root.path: " + spec.root_path);
            if (!S_ISDIR(info.st_mode))
                return Error(Errc::InvalidArgument,
                             "root.path: " + spec.root_path + ": not a directory");
        }
        if (spec.seccomp) {
            RAIND_TRY(seccomp_, compile_seccomp(*spec.seccomp, options_.root));
        }
        state_.oci_version = spec.oci_version;
        state_.id = options_.id;
        state_.bundle = bundle_.path;
        state_.rootfs = spec.image ? spec.image->upper : spec.root_path;
        state_.created = timestamp_now();
        state_.boot_id = boot_id();
        state_.shim_pid = options_.shim_pid;
        state_.annotations = spec.annotations;
        RAIND_TRY(state_.creator, mark_of(::getpid()));
        return {};
    }

    Status build() {
        RAIND_CHECK(make_cgroup());
        progress_.stage = "execute_init";
        RAIND_CHECK(spawn());
        RAIND_TRY(state_.init, mark_of(state_.init.pid));
        RAIND_CHECK(folder_->save(state_));
        auto talked = converse();
        AuditRecord record = audit_record("init", options_.id, options_.root, progress_);
        record.pid = state_.init.pid;
        log_.audit(talked ? record : audit_failure(record, talked.error()));
        RAIND_CHECK(std::move(talked));
        progress_.stage = "update_state";
        RAIND_CHECK(write_hash());
        if (!options_.pid_file.empty())
            RAIND_CHECK(write_pid_file(options_.pid_file, state_.init.pid));
        state_.creating = false;
        progress_.pid = state_.init.pid;
        return folder_->save(state_);
    }

    Status make_cgroup() {
        progress_.stage = "setup_cgroup";
        const Spec& spec = bundle_.spec;
        if (options_.cgroups == CgroupManager::Disabled)
            return {};
        // Known before it is made: what dies half-way can be found again.
        if (const auto mount = cgroup2_mount()) {
            RAIND_TRY(state_.cgroup, cgroup_folder(*mount, spec.cgroups_path, options_.id));
            RAIND_CHECK(folder_->save(state_));
        }
        const std::string planned = std::exchange(state_.cgroup, std::string());
        auto done = create_cgroup(spec, options_.id, log_, cgroup_);
        state_.cgroup_made = cgroup_.made;
        // A cgroup with members of somebody else is not this container's to kill.
        if (done || done.error().code() != Errc::Conflict)
            state_.cgroup = cgroup_.path.empty() ? std::string() : planned;
        return done;
    }

    Status spawn() {
        RAIND_TRY(auto sockets, packet_pair());
        RAIND_TRY(UniqueFd fifo, open_file(folder_->file(kExecFifo), O_RDWR | O_CLOEXEC));
        // A writer needs a reader to open; this one is closed again at once.
        RAIND_TRY(const UniqueFd reader,
                  open_file(folder_->file(kResultFifo), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        RAIND_TRY(UniqueFd result, open_file(folder_->file(kResultFifo), O_WRONLY | O_CLOEXEC));
        InitPlan plan{bundle_.spec,        state_,
                      std::move(seccomp_), std::move(sockets.second),
                      std::move(fifo),     std::move(result),
                      preserve_,           options_.new_keyring};
        RAIND_CHECK(joined_.empty() ? clone_directly(plan) : clone_joined(plan));
        socket_ = std::move(sockets.first);
        if (!joined_.empty() && !state_.cgroup.empty())
            RAIND_CHECK(join_cgroup(state_.cgroup, state_.init.pid));
        return {};
    }

    Status clone_directly(InitPlan& plan) {
        RAIND_TRY(CloneResult child,
                  clone_process({new_namespace_flags(bundle_.spec), cgroup_.fd.get()}));
        if (child.pid == 0)
            run_init(std::move(plan));
        state_.init.pid = child.pid;
        pidfd_ = std::move(child.pidfd);
        return {};
    }

    // A helper joins what is to be joined and makes the container's process as its sibling.
    Status clone_joined(InitPlan& plan) {
        RAIND_TRY(auto sockets, packet_pair());
        RAIND_TRY(const CloneResult helper, clone_process({}));
        if (helper.pid == 0)
            join_and_clone(plan, sockets.second.get());
        sockets.second.reset();
        auto answer = receive_packet(sockets.first.get());
        while (::waitpid(helper.pid, nullptr, 0) < 0 && errno == EINTR) {
        }
        RAIND_TRY(const std::optional<Packet> packet, std::move(answer));
        if (!packet)
            return Error(Errc::Internal, "the joining helper ended without an answer");
        const std::string_view text = packet->text;
        const auto [end, error] =
            std::from_chars(text.data(), text.data() + text.size(), state_.init.pid);
        if (error != std::errc() || end != text.data() + text.size())
            return Error(Errc::Internal, "linux.namespaces: " + packet->text);
        RAIND_TRY(pidfd_, pidfd_open(state_.init.pid));
        return {};
    }

    [[noreturn]] void join_and_clone(InitPlan& plan, int answer) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (auto joined = join_all(joined_); !joined) {
            static_cast<void>(send_packet(answer, joined.error().message()));
            ::_exit(1);
        }
        const auto child = clone_process({new_namespace_flags(bundle_.spec) | CLONE_PARENT, -1});
        if (child && child->pid == 0)
            run_init(std::move(plan));
        const std::string text = child ? std::to_string(child->pid) : child.error().message();
        static_cast<void>(send_packet(answer, text));
        ::_exit(0);
    }

    // The other half of the dialogue in init.h.
    Status converse() {
        const Spec& spec = bundle_.spec;
        const int pid = state_.init.pid;
        UniqueFd userns;
        if (spec.new_namespace("user"))
            RAIND_CHECK(write_id_maps(pid, spec.uid_mappings, spec.gid_mappings));
        if (spec.has_namespace("user")) {
            const std::string file = "/proc/" + std::to_string(pid) + "/ns/user";
            RAIND_TRY(userns, open_file(file, O_RDONLY | O_CLOEXEC));
        }
        give_streams(spec, spec.process ? spec.process->user : User{});
        RAIND_CHECK(tell("go"));
        progress_.stage = "setup_rootfs";
        auto mounts = prepare_host_mounts(
            {spec, bundle_.path, folder_->path(), userns.valid() ? userns.get() : -1});
        if (!mounts) {
            if (mounts.error().code() == Errc::Unsupported)
                progress_.exit_code = kBadRequest;
            return std::move(mounts.error());
        }
        for (const NamedFd& entry : *mounts)
            RAIND_CHECK(send_packet(socket_.get(), "fd " + entry.name, entry.fd.get()));
        mounts->clear();
        RAIND_CHECK(tell("setup"));
        RAIND_CHECK(hear("mounted"));
        progress_.stage = "hook_create_runtime";
        RAIND_CHECK(runtime_hooks());
        RAIND_CHECK(tell("hooks " + std::to_string(pid)));
        RAIND_CHECK(hear("sealed"));
        progress_.stage = "execute_init";
        if (spec.process)
            RAIND_CHECK(apply_limits(pid, *spec.process));
        RAIND_CHECK(tell("limits"));
        return hear("ready");
    }

    Status runtime_hooks() {
        const Hooks& hooks = bundle_.spec.hooks;
        if (hooks.prestart.empty() && hooks.create_runtime.empty() &&
            hooks.create_container.empty())
            return {};
        state_.hooks_ran = true;
        RAIND_CHECK(folder_->save(state_));
        const std::string json = oci_state_json(state_, "creating", state_.init.pid);
        RAIND_CHECK(
            run_hooks(hooks.prestart, {"prestart", json, state_.bundle, options_.id, &log_}));
        return run_hooks(hooks.create_runtime,
                         {"createRuntime", json, state_.bundle, options_.id, &log_});
    }

    Status tell(const std::string& text) {
        auto sent = send_packet(socket_.get(), text);
        if (sent)
            return sent;
        // It has ended: its last words say why.
        return hear("");
    }

    Status hear(std::string_view expected) {
        RAIND_TRY(const std::optional<Packet> packet, receive_packet(socket_.get()));
        if (packet && !expected.empty() && packet->text == expected)
            return {};
        if (const auto failure = packet ? decode_failure(packet->text) : std::nullopt) {
            progress_.stage = failure->stage;
            progress_.exit_code = failure->exit_code;
            return Error(Errc::Internal, failure->text);
        }
        return Error(Errc::Internal, "the container's first process has ended unexpectedly (" +
                                         progress_.stage + ")");
    }

    // Raind's own bundles: start refuses when config.json changes before it.
    Status write_hash() {
        for (const auto& [key, value] : state_.annotations)
            if (key.starts_with(kRaindPrefix))
                return write_file_rename(bundle_.path + "/config_hash.json",
                                         "{\"sha256\":\"" + sha256_hex(bundle_.text) + "\"}\n",
                                         0600);
        return {};
    }

    void undo() {
        if (pidfd_)
            static_cast<void>(pidfd_signal(pidfd_.get(), SIGKILL));
        if (state_.init.pid > 0)
            while (::waitpid(state_.init.pid, nullptr, 0) < 0 && errno == EINTR) {
            }
        state_.init = {};
        if (!options_.pid_file.empty() && progress_.stage == "update_state")
            ::unlink(options_.pid_file.c_str());
        if (auto done = destroy(*folder_, state_, &bundle_.spec, log_); !done)
            log_.warning("clean-up: " + done.error().message());
    }

    const CreateOptions& options_;
    Logger& log_;
    Progress& progress_;
    Bundle bundle_;
    int preserve_ = 0;
    std::optional<SeccompProgram> seccomp_;
    std::vector<JoinedNamespace> joined_;
    State state_;
    std::optional<StateFolder> folder_;
    Cgroup cgroup_;
    UniqueFd socket_;
    UniqueFd pidfd_;
};

}  // namespace

Result<std::vector<JoinedNamespace>> open_namespaces(const Spec& spec) {
    std::vector<JoinedNamespace> out;
    for (std::size_t i = 0; i < spec.namespaces.size(); ++i) {
        const Namespace& entry = spec.namespaces[i];
        if (entry.path.empty())
            continue;
        const std::string key = "linux.namespaces[" + std::to_string(i) + "].path";
        UniqueFd fd(::open(entry.path.c_str(), O_RDONLY | O_CLOEXEC));
        if (!fd)
            return os_error(key + ": " + entry.path);
        if (::ioctl(fd.get(), NS_GET_NSTYPE) != entry.flag)
            return Error(Errc::InvalidArgument,
                         key + ": " + entry.path + " is no " + entry.type + " namespace");
        out.push_back({entry.flag, std::move(fd)});
    }
    return out;
}

void give_streams(const Spec& spec, const User& user) {
    // A user that is found inside only: root there can give them on if both ids are its own.
    const bool later = user.lookup.has_value();
    const auto uid = map_id(spec.uid_mappings, later ? 0 : user.uid);
    const auto gid = later ? map_id(spec.gid_mappings, 0) : std::nullopt;
    for (int fd = 0; fd <= 2 && uid; ++fd) {
        struct stat info{};
        if (::fstat(fd, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISREG(info.st_mode)))
            static_cast<void>(!::fchown(fd, *uid, gid.value_or(static_cast<gid_t>(-1))));
    }
}

Status write_pid_file(const std::string& path, int pid) {
    return write_file_rename(path, std::to_string(pid), 0644).context("--pid-file");
}

Result<Created> create_container(const CreateOptions& options, Logger& log, Progress& progress) {
    return Creation(options, log, progress).run();
}

}  // namespace raind::droplet
