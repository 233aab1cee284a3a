#include "droplet/init.h"

#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/magic.h>
#include <map>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "droplet/hooks.h"
#include "droplet/process.h"
#include "droplet/rootfs.h"
#include "droplet/syscalls.h"
#include "userspace/common/fs.h"

namespace raind::droplet {

namespace {

constexpr long kJoinSessionKeyring = 1;  // KEYCTL_JOIN_SESSION_KEYRING

// The next message must be `expected`; its rest is returned.
Result<std::string> expect_message(int socket, std::string_view expected) {
    RAIND_TRY(const std::optional<Packet> packet, receive_packet(socket));
    if (!packet)
        return Error(Errc::Internal, "create has ended");
    if (!packet->text.starts_with(expected))
        return Error(Errc::Internal, "unexpected message \"" + packet->text + "\"");
    return packet->text.substr(expected.size());
}

Result<std::map<std::string, UniqueFd>> receive_fds(int socket) {
    std::map<std::string, UniqueFd> out;
    while (true) {
        RAIND_TRY(std::optional<Packet> packet, receive_packet(socket));
        if (!packet)
            return Error(Errc::Internal, "create has ended");
        if (packet->text == "setup")
            return out;
        if (!packet->text.starts_with("fd ") || !packet->fd.valid())
            return Error(Errc::Internal, "unexpected message \"" + packet->text + "\"");
        out[packet->text.substr(3)] = std::move(packet->fd);
    }
}

Status loopback_up() {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", 3);
    if (!socket || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0)
        return os_error("loopback");
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
        return os_error("loopback");
    return {};
}

// Through the runtime's own procfs, before the root switch: what the container shows as /proc is
// never trusted. Namespaced settings are those of the process that opens them.
Status write_sysctls(const Spec& spec) {
    if (spec.sysctl.empty())
        return {};
    const UniqueFd folder(::open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct statfs info{};
    if (!folder || ::fstatfs(folder.get(), &info) != 0 || info.f_type != PROC_SUPER_MAGIC)
        return Error(Errc::Internal, "/proc/sys is not procfs");
    for (const auto& [name, value] : spec.sysctl) {
        auto file = open_in_root(folder.get(), name, O_WRONLY, Links::Refuse);
        if (!file)
            return std::move(file.error()).context("linux.sysctl");
        RAIND_CHECK(write_all(file->get(), value).context("linux.sysctl." + name));
    }
    return {};
}

class Init {
  public:
    explicit Init(InitPlan plan)
        : plan_(std::move(plan)),
          launch_(plan_.spec.process.value_or(Process{}), std::move(plan_.seccomp)) {}

    [[noreturn]] void run() {
        if (auto done = create_part(); !done)
            fail(plan_.socket.get(), done.error(), 0);
        start_part();
    }

  private:
    [[noreturn]] void fail(int fd, const Error& error, int exit_code) {
        const std::string text = encode_failure({stage_, exit_code, error.message()});
        if (fd == plan_.socket.get())
            static_cast<void>(send_packet(fd, text));
        else
            static_cast<void>(write_all(fd, text));
        ::_exit(1);
    }

    static void die_with_creator() {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::prctl(PR_SET_DUMPABLE, 0);
    }

    Status create_part() {
        const int socket = plan_.socket.get();
        stage_ = "execute_init";
        die_with_creator();
        close_all_but(3 + plan_.preserve_fds, {socket, plan_.fifo.get(), plan_.result.get()});
        ::setsid();
        RAIND_CHECK(expect_message(socket, "go"));
        RAIND_CHECK(enter_identity());
        stage_ = "setup_rootfs";
        RAIND_TRY(auto prepared, receive_fds(socket));
        RootSetup root(plan_.spec, std::move(prepared));
        RAIND_CHECK(root.build());
        RAIND_CHECK(set_names());
        RAIND_CHECK(launch_.open_lsm());
        RAIND_CHECK(send_packet(socket, "mounted"));
        RAIND_TRY(const std::string pid, expect_message(socket, "hooks "));
        std::from_chars(pid.data(), pid.data() + pid.size(), host_pid_);
        stage_ = "hook_create_container";
        RAIND_CHECK(hooks(plan_.spec.hooks.create_container, "createContainer", "creating",
                          plan_.state.bundle));
        stage_ = "setup_rootfs";
        RAIND_CHECK(root.pivot());
        RAIND_CHECK(root.seal());
        RAIND_CHECK(send_packet(socket, "sealed"));
        RAIND_CHECK(expect_message(socket, "limits"));
        stage_ = "execute_init";
        if (plan_.new_keyring)
            ::syscall(SYS_keyctl, kJoinSessionKeyring, ("_ses." + plan_.state.id).c_str());
        if (plan_.spec.process)
            if (auto failed = launch_.prepare())
                fail(socket, failed->error, failed->exit_code);
        ::signal(SIGPIPE, SIG_IGN);
        ::prctl(PR_SET_PDEATHSIG, 0);
        ::prctl(PR_SET_DUMPABLE, 0);
        return send_packet(socket, "ready");
    }

    Status enter_identity() {
        if (plan_.spec.has_namespace("user")) {
            if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
                return os_error("root inside the user namespace");
            // A change of identity resets both.
            die_with_creator();
        }
        // Made here and not by clone: its root is the cgroup of the process that makes it.
        if (plan_.spec.new_namespace("cgroup") && ::unshare(CLONE_NEWCGROUP) != 0)
            return os_error("cgroup namespace");
        return {};
    }

    Status set_names() {
        const Spec& spec = plan_.spec;
        if (!spec.hostname.empty() &&
            ::sethostname(spec.hostname.data(), spec.hostname.size()) != 0)
            return os_error("hostname");
        if (!spec.domainname.empty() &&
            ::setdomainname(spec.domainname.data(), spec.domainname.size()) != 0)
            return os_error("domainname");
        if (spec.new_namespace("network"))
            RAIND_CHECK(loopback_up());
        return write_sysctls(spec);
    }

    Status hooks(const std::vector<Hook>& list, std::string_view phase, const std::string& status,
                 const std::string& folder) {
        if (list.empty())
            return {};
        return run_hooks(list, {phase, oci_state_json(plan_.state, status, host_pid_), folder,
                                plan_.state.id, nullptr});
    }

    [[noreturn]] void start_part() {
        plan_.socket.reset();
        char byte = 0;
        ssize_t n = 0;
        while ((n = ::read(plan_.fifo.get(), &byte, 1)) < 0 && errno == EINTR) {
        }
        const int result = plan_.result.get();
        stage_ = "hook_startContainer";
        if (auto done = hooks(plan_.spec.hooks.start_container, "startContainer", "created", "/");
            !done)
            fail(result, done.error(), 0);
        stage_ = "execute_init";
        static_cast<void>(write_all(result, std::string_view(&kAboutToExec, 1)));
        reset_signals();
        LaunchError error = launch_.run();
        fail(result, error.error, error.exit_code);
    }

    InitPlan plan_;
    Launch launch_;
    std::string stage_;
    int host_pid_ = 0;
};

}  // namespace

void run_init(InitPlan plan) {
    Init(std::move(plan)).run();
}

std::string encode_failure(const InitFailure& failure) {
    return "error\n" + failure.stage + "\n" + std::to_string(failure.exit_code) + "\n" +
           failure.text;
}

std::optional<InitFailure> decode_failure(std::string_view text) {
    if (!text.starts_with("error\n"))
        return std::nullopt;
    text.remove_prefix(6);
    InitFailure failure;
    const auto stage_end = text.find('\n');
    const auto code_end =
        stage_end == std::string_view::npos ? stage_end : text.find('\n', stage_end + 1);
    if (code_end == std::string_view::npos)
        return std::nullopt;
    failure.stage = text.substr(0, stage_end);
    const std::string_view code = text.substr(stage_end + 1, code_end - stage_end - 1);
    std::from_chars(code.data(), code.data() + code.size(), failure.exit_code);
    failure.text = text.substr(code_end + 1);
    return failure;
}

}  // namespace raind::droplet
