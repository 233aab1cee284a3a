#include "droplet/commands.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "droplet/arguments.h"
#include "droplet/container.h"
#include "droplet/shim.h"
#include "droplet/supervise.h"
#include "droplet/syscalls.h"
#include "userspace/common/json.h"

namespace raind::droplet {

namespace {

constexpr const char* kAuditLog = "/etc/raind/log/droplet_audit.log";
constexpr int kExecFailure = 255;  // keeps droplet's own failures apart from a program's 1

struct Session {
    std::string root;
    CgroupManager cgroups = CgroupManager::Cgroupfs;
    Logger log;

    void audit(const std::string& event, const std::string& id, const Progress& progress,
               const Error* error) const {
        const AuditRecord record = audit_record(event, id, root, progress);
        log.audit(error != nullptr ? audit_failure(record, *error) : record);
    }
};

constexpr std::array kGlobalOptions{
    OptionSpec{"root", 0, OptionKind::Value, "state folder (default: /run/droplet)"},
    OptionSpec{"log", 0, OptionKind::Value, "file for errors and warnings"},
    OptionSpec{"log-format", 0, OptionKind::Value, "text or json"},
    OptionSpec{"log-level", 0, OptionKind::Value, "error, warning or debug"},
    OptionSpec{"debug", 0, OptionKind::Flag, "same as --log-level debug"},
    OptionSpec{"systemd-cgroup", 0, OptionKind::Flag, "not supported yet"},
    OptionSpec{"cgroup-manager", 0, OptionKind::Value, "cgroupfs or disabled"},
    OptionSpec{"rootless", 0, OptionKind::Value, "accepted, without effect"},
    OptionSpec{"criu", 0, OptionKind::Value, "accepted, without effect"},
    OptionSpec{"audit-log", 0, OptionKind::Value, "audit records go there (empty: nowhere)"},
    OptionSpec{"version", 'v', OptionKind::Flag, "show the version"},
    OptionSpec{"help", 'h', OptionKind::Flag, "show this help"},
};

constexpr OptionSpec kHelp{"help", 'h', OptionKind::Flag, "show this help"};
constexpr OptionSpec kBundle{"bundle", 'b', OptionKind::Value,
                             "folder of config.json (default: .)"};
constexpr OptionSpec kConfig{"config", 'f', OptionKind::Value,
                             "configuration file other than config.json"};
constexpr OptionSpec kPidFile{"pid-file", 0, OptionKind::Value, "write the process id there"};
constexpr OptionSpec kPreserve{"preserve-fds", 0, OptionKind::Value, "descriptors after 2 to keep"};
constexpr OptionSpec kNoKeyring{"no-new-keyring", 0, OptionKind::Flag, "keep the session keyring"};
constexpr OptionSpec kConsole{"console-socket", 0, OptionKind::Value, "not supported yet"};
constexpr OptionSpec kPidfd{"pidfd-socket", 0, OptionKind::Value, "not supported yet"};
constexpr OptionSpec kNoPivot{"no-pivot", 0, OptionKind::Flag, "not supported yet"};
constexpr OptionSpec kForce{"force", 'f', OptionKind::Flag, "kill it first"};
constexpr OptionSpec kAll{"all", 'a', OptionKind::Flag, "every process of the container"};
constexpr OptionSpec kDetach{"detach", 'd', OptionKind::Flag, "return when it runs"};

constexpr std::array kCreateOptions{kHelp,      kBundle,  kConfig, kPidFile, kPreserve,
                                    kNoKeyring, kConsole, kPidfd,  kNoPivot};
constexpr std::array kRunOptions{
    kHelp,
    kBundle,
    kConfig,
    kPidFile,
    kPreserve,
    kNoKeyring,
    kConsole,
    kPidfd,
    kNoPivot,
    kDetach,
    OptionSpec{"keep", 0, OptionKind::Flag, "do not delete it at the end"},
    OptionSpec{"no-subreaper", 0, OptionKind::Flag, "do not adopt its children"}};
constexpr std::array kIdOptions{kHelp};
constexpr std::array kKillOptions{kHelp, kAll};
constexpr std::array kDeleteOptions{kHelp, kForce};
constexpr std::array kListOptions{
    kHelp, OptionSpec{"format", 'f', OptionKind::Value, "table, default or json"},
    OptionSpec{"quiet", 'q', OptionKind::Flag, "ids only"}};
constexpr std::array kExecOptions{
    kHelp,
    kPidFile,
    kPreserve,
    kDetach,
    kConsole,
    kPidfd,
    OptionSpec{"process", 'p', OptionKind::Value, "file with a process object"},
    OptionSpec{"tty", 't', OptionKind::Flag, "not supported yet"},
    OptionSpec{"cwd", 0, OptionKind::Value, "working directory"},
    OptionSpec{"env", 'e', OptionKind::List, "NAME=VALUE"},
    OptionSpec{"user", 'u', OptionKind::Value, "UID[:GID]"},
    OptionSpec{"additional-gids", 'g', OptionKind::List, "further groups"},
    OptionSpec{"cap", 'c', OptionKind::List, "further capabilities"},
    OptionSpec{"no-new-privs", 0, OptionKind::Flag, "set no_new_privs"},
    OptionSpec{"ignore-paused", 0, OptionKind::Flag, "accepted, without effect"}};
constexpr std::array kShimOptions{
    kHelp, kBundle,
    // The place of the global option does not matter to the daemon.
    OptionSpec{"root", 0, OptionKind::Value, "state folder"},
    OptionSpec{"log-path", 0, OptionKind::Value, "the container's log"},
    OptionSpec{"log-max-size", 0, OptionKind::Value, "bytes of one log file (default: 10 MiB)"},
    OptionSpec{"log-files", 0, OptionKind::Value, "number of log files (default: 3)"},
    OptionSpec{"ready-fd", 0, OptionKind::Value, "descriptor for the result of create"}};

// Options that the specification has and this version refuses by name.
Status refuse_options(const Arguments& arguments) {
    for (const std::string_view name :
         {"console-socket", "pidfd-socket", "no-pivot", "tty", "systemd-cgroup"})
        if (arguments.flag(name))
            return Error(Errc::Unsupported, "--" + std::string(name) + " is not supported yet");
    return {};
}

Result<std::string> only_id(const Arguments& arguments, const std::string& usage) {
    if (arguments.words().size() != 1)
        return Error(Errc::InvalidArgument, "exactly one container id is needed. usage: " + usage);
    std::string id(arguments.words()[0]);
    RAIND_CHECK(check_container_id(id));
    return id;
}

std::string default_bundle(const std::string& id) {
    const char* root = std::getenv("RAIND_ROOT_DIR");
    return root != nullptr && *root != '\0' ? std::string(root) + "/" + id : std::string(".");
}

Result<CreateOptions> create_options(const Arguments& arguments, const Session& session,
                                     const std::string& usage) {
    RAIND_CHECK(refuse_options(arguments));
    CreateOptions options;
    RAIND_TRY(options.id, only_id(arguments, usage));
    options.root = session.root;
    options.cgroups = session.cgroups;
    options.bundle = arguments.value("bundle", default_bundle(options.id));
    options.config = arguments.value("config");
    options.pid_file = arguments.value("pid-file");
    options.new_keyring = !arguments.flag("no-new-keyring");
    RAIND_TRY(options.preserve_fds,
              parse_number("preserve-fds", arguments.value("preserve-fds", "0"), 0, 1024));
    close_all_but(3 + options.preserve_fds + 1024 * (std::getenv("LISTEN_FDS") != nullptr), {});
    return options;
}

Result<int> command_create(const Arguments& arguments, Session& session, Progress& progress) {
    RAIND_TRY(const CreateOptions options,
              create_options(arguments, session, "droplet create --bundle DIR ID"));
    RAIND_CHECK(create_container(options, session.log, progress));
    return 0;
}

Result<int> command_start(const Arguments& arguments, Session& session, Progress& progress) {
    RAIND_TRY(const std::string id, only_id(arguments, "droplet start ID"));
    RAIND_CHECK(start_container(session.root, id, session.log, progress));
    return 0;
}

Status delete_audited(Session& session, const std::string& id) {
    Progress progress;
    auto done = delete_container(session.root, id, DeleteMode::Force, session.log, progress);
    session.audit("delete", id, progress, done ? nullptr : &done.error());
    return done;
}

Result<int> command_run(const Arguments& arguments, Session& session, Progress& progress) {
    RAIND_TRY(const CreateOptions options,
              create_options(arguments, session, "droplet run [--detach] --bundle DIR ID"));
    const bool detach = arguments.flag("detach");
    if (!detach) {
        hold_signals();
        if (!arguments.flag("no-subreaper"))
            ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    }
    auto made = create_container(options, session.log, progress);
    session.audit("create", options.id, progress, made ? nullptr : &made.error());
    RAIND_TRY(const Created created, std::move(made));
    auto started = start_container(session.root, options.id, session.log, progress);
    session.audit("start", options.id, progress, started ? nullptr : &started.error());
    if (!started) {
        static_cast<void>(delete_audited(session, options.id));
        return std::move(started.error());
    }
    if (detach)
        return 0;
    const int status = supervise(created.init.pid, created.pidfd.get());
    if (!arguments.flag("keep"))
        RAIND_CHECK(delete_audited(session, options.id));
    return status;
}

Result<int> command_state(const Arguments& arguments, Session& session, Progress&) {
    RAIND_TRY(const std::string id, only_id(arguments, "droplet state ID"));
    RAIND_TRY(const std::string json, container_state(session.root, id));
    std::printf("%s\n", json.c_str());
    return 0;
}

Result<int> command_kill(const Arguments& arguments, Session& session, Progress& progress) {
    const auto& words = arguments.words();
    if (words.empty() || words.size() > 2)
        return Error(Errc::InvalidArgument,
                     "one container id and at most one signal. usage: droplet kill ID [SIGNAL]");
    RAIND_CHECK(check_container_id(words[0]));
    const std::string_view name = words.size() == 2 ? words[1] : "TERM";
    progress.signal = name;
    const auto signal = signal_number(name);
    if (!signal)
        return Error(Errc::InvalidArgument, "unknown signal \"" + std::string(name) + "\"");
    RAIND_CHECK(kill_container(session.root, std::string(words[0]), *signal,
                               arguments.flag("all") ? KillScope::All : KillScope::Init, progress));
    return 0;
}

Result<int> command_delete(const Arguments& arguments, Session& session, Progress& progress) {
    RAIND_TRY(const std::string id, only_id(arguments, "droplet delete [--force] ID"));
    RAIND_CHECK(delete_container(session.root, id,
                                 arguments.flag("force") ? DeleteMode::Force : DeleteMode::Stopped,
                                 session.log, progress));
    return 0;
}

Result<int> command_exec(const Arguments& arguments, Session& session, Progress& progress) {
    RAIND_CHECK(refuse_options(arguments));
    if (arguments.words().empty())
        return Error(Errc::InvalidArgument,
                     "a container id is needed. usage: droplet exec [options] ID CMD...");
    ExecOptions options;
    options.root = session.root;
    options.id = arguments.words()[0];
    RAIND_CHECK(check_container_id(options.id));
    options.args.assign(arguments.words().begin() + 1, arguments.words().end());
    progress.command = options.args;
    options.process_file = arguments.value("process");
    options.cwd = arguments.value("cwd");
    options.env = arguments.list("env");
    if (arguments.flag("user"))
        options.user = arguments.value("user");
    for (const std::string& gid : arguments.list("additional-gids")) {
        RAIND_TRY(const int number, parse_number("additional-gids", gid, 0, INT32_MAX));
        options.additional_gids.push_back(static_cast<std::uint32_t>(number));
    }
    options.caps = arguments.list("cap");
    options.no_new_privs = arguments.flag("no-new-privs");
    options.pid_file = arguments.value("pid-file");
    RAIND_TRY(options.preserve_fds,
              parse_number("preserve-fds", arguments.value("preserve-fds", "0"), 0, 1024));
    close_all_but(3 + options.preserve_fds, {});
    const bool detach = arguments.flag("detach");
    if (!detach)
        hold_signals();
    RAIND_TRY(const Executed executed, exec_in_container(options, progress));
    return detach ? 0 : supervise(executed.pid, executed.pidfd.get());
}

Result<int> command_list(const Arguments& arguments, Session& session, Progress&) {
    if (!arguments.words().empty())
        return Error(Errc::InvalidArgument, "unexpected word \"" +
                                                std::string(arguments.words()[0]) +
                                                "\". usage: droplet list [options]");
    RAIND_TRY(const auto entries, list_containers(session.root, session.log));
    const std::string format = arguments.value("format", "table");
    if (format != "table" && format != "default" && format != "json")
        return Error(Errc::InvalidArgument, "--format: expected table, default or json");
    if (arguments.flag("quiet")) {
        for (const ListEntry& entry : entries)
            std::printf("%s\n", entry.id.c_str());
    } else if (format == "json") {
        Json list = Json::array();
        for (const ListEntry& entry : entries)
            list.push_back({{"id", entry.id},
                            {"pid", entry.pid},
                            {"status", entry.status},
                            {"bundle", entry.bundle},
                            {"created", entry.created},
                            {"owner", "root"}});
        std::printf("%s\n", dump_json(list).c_str());
    } else {
        std::printf("%-15s %-15s %-8s %s\n", "ID", "STATUS", "PID", "BUNDLE");
        for (const ListEntry& entry : entries)
            std::printf("%-15s %-15s %-8d %s\n", entry.id.c_str(), entry.status.c_str(), entry.pid,
                        entry.bundle.c_str());
    }
    return 0;
}

Result<int> command_shim(const Arguments& arguments, Session& session, Progress&) {
    ShimOptions options;
    RAIND_TRY(options.id, only_id(arguments, "droplet shim --bundle DIR --log-path FILE ID"));
    options.root = arguments.value("root", session.root);
    if (options.root.empty())
        return Error(Errc::InvalidArgument, "--root is empty");
    options.bundle = arguments.value("bundle", default_bundle(options.id));
    options.log_path = arguments.value("log-path");
    if (options.log_path.empty())
        return Error(Errc::InvalidArgument, "--log-path is needed");
    RAIND_TRY(
        const int size,
        parse_number("log-max-size", arguments.value("log-max-size", "10485760"), 4096, INT32_MAX));
    options.log_max_size = static_cast<std::size_t>(size);
    RAIND_TRY(options.log_files,
              parse_number("log-files", arguments.value("log-files", "3"), 1, 1000));
    if (arguments.flag("ready-fd")) {
        RAIND_TRY(options.ready_fd,
                  parse_number("ready-fd", arguments.value("ready-fd"), 3, 1048576));
    }
    return run_shim(options, session.log);
}

using Handler = Result<int> (*)(const Arguments&, Session&, Progress&);

struct Command {
    std::string_view name;
    std::string_view usage;
    std::string_view purpose;
    std::span<const OptionSpec> options;
    Mixing mixing;
    Handler run;
};

constexpr std::array kCommands{
    Command{"create", "[options] ID", "make a container; its first process waits for start",
            kCreateOptions, Mixing::Free, command_create},
    Command{"start", "ID", "let the first process go on", kIdOptions, Mixing::Free, command_start},
    Command{"run", "[options] ID", "create and start in one", kRunOptions, Mixing::Free,
            command_run},
    Command{"state", "ID", "print the state as JSON", kIdOptions, Mixing::Free, command_state},
    Command{"kill", "[options] ID [SIGNAL]", "send a signal (TERM) to the first process",
            kKillOptions, Mixing::Free, command_kill},
    Command{"delete", "[options] ID", "remove a stopped container", kDeleteOptions, Mixing::Free,
            command_delete},
    Command{"exec", "[options] ID CMD...", "run a program in a container", kExecOptions,
            Mixing::StopAtWord, command_exec},
    Command{"list", "[options]", "list the containers of the state folder", kListOptions,
            Mixing::Free, command_list},
    Command{"shim", "[options] ID", "create, then keep output and exit code; for the daemon",
            kShimOptions, Mixing::Free, command_shim},
};

constexpr std::array<std::string_view, 12> kLater{"ps",         "pause",    "resume", "update",
                                                  "events",     "features", "spec",   "mounts",
                                                  "checkpoint", "restore",  "attach", "init"};

// "  -b, --bundle VALUE" and the explanation, in columns.
void print_options(std::span<const OptionSpec> table) {
    constexpr int kColumn = 30;
    for (const OptionSpec& option : table) {
        std::string left = option.letter == 0 ? "    " : std::string("-") + option.letter + ", ";
        left += "--" + std::string(option.name);
        if (option.kind != OptionKind::Flag)
            left += " VALUE";
        const std::string repeat = option.kind == OptionKind::List ? " (repeatable)" : "";
        std::printf("  %-*s %s%s\n", kColumn, left.c_str(), std::string(option.help).c_str(),
                    repeat.c_str());
    }
}

void print_help() {
    std::printf(
        "droplet: carries out what the config.json of an OCI bundle says\n\n"
        "usage: droplet [global options] COMMAND [options] [arguments]\n\ncommands:\n");
    for (const Command& command : kCommands) {
        const std::string left = std::string(command.name) + " " + std::string(command.usage);
        std::printf("  %-28s %s\n", left.c_str(), std::string(command.purpose).c_str());
    }
    std::printf("\nglobal options, before the command:\n");
    print_options(kGlobalOptions);
    std::printf(
        "\nexample:\n  droplet run --bundle /srv/bundle job\n\n"
        "droplet COMMAND --help explains one command.\n");
}

void print_version() {
    std::printf("droplet version %s\nspec: 1.3.0\n+CAP +SECCOMP +APPARMOR +EBPF\n", RAIND_VERSION);
}

Result<Session> open_session(const Arguments& globals) {
    Session session;
    const std::string format = globals.value("log-format", "text");
    const std::string level =
        globals.flag("debug") ? "debug" : globals.value("log-level", "warning");
    if (format != "text" && format != "json")
        return Error(Errc::InvalidArgument, "--log-format: expected text or json");
    if (level != "error" && level != "warning" && level != "debug")
        return Error(Errc::InvalidArgument, "--log-level: expected error, warning or debug");
    session.log = Logger(format == "json" ? LogFormat::Json : LogFormat::Text,
                         level == "error"     ? LogLevel::Error
                         : level == "warning" ? LogLevel::Warning
                                              : LogLevel::Debug);
    if (globals.flag("log"))
        RAIND_CHECK(session.log.open_file(globals.value("log")));
    session.log.set_audit(AuditLog(globals.value("audit-log", kAuditLog)));
    return session;
}

// One record per command that acts on a container. run and shim write those of their parts.
bool is_audited(std::string_view command, bool good) {
    constexpr std::array<std::string_view, 5> kAlways{"create", "start", "exec", "kill", "delete"};
    return std::ranges::find(kAlways, command) != kAlways.end() || (command == "shim" && !good);
}

Status read_globals(const Arguments& globals, Session& session) {
    const char* runtime_dir = std::getenv("XDG_RUNTIME_DIR");
    const bool own = ::geteuid() != 0 && runtime_dir != nullptr && runtime_dir[0] == '/';
    session.root =
        globals.value("root", own ? std::string(runtime_dir) + "/droplet" : "/run/droplet");
    if (session.root.empty())
        return Error(Errc::InvalidArgument, "--root is empty");
    RAIND_CHECK(refuse_options(globals));
    const std::string manager = globals.value("cgroup-manager", "cgroupfs");
    if (manager == "systemd")
        return Error(Errc::Unsupported, "--cgroup-manager systemd is not supported yet");
    if (manager != "cgroupfs" && manager != "disabled")
        return Error(Errc::InvalidArgument, "--cgroup-manager: expected cgroupfs or disabled");
    session.cgroups = manager == "disabled" ? CgroupManager::Disabled : CgroupManager::Cgroupfs;
    return {};
}

Result<int> run_command(const Arguments& globals, Session& session) {
    if (globals.words().empty())
        return Error(Errc::InvalidArgument, "a command is needed (droplet --help lists them)");
    const std::string_view name = globals.words()[0];
    const auto* command = std::ranges::find(kCommands, name, &Command::name);
    if (command == kCommands.end()) {
        if (std::ranges::find(kLater, name) != kLater.end())
            return Error(Errc::Unsupported,
                         "command \"" + std::string(name) + "\" is not supported yet");
        return Error(Errc::InvalidArgument, "unknown command \"" + std::string(name) + "\"");
    }
    const std::span rest(globals.words().begin() + 1, globals.words().end());
    Progress progress;
    progress.stage = "load_spec";
    auto parsed = Arguments::parse(rest, command->options, command->mixing);
    if (!parsed) {
        if (is_audited(name, false))
            session.audit(std::string(name), {}, progress, &parsed.error());
        return std::move(parsed.error());
    }
    const Arguments& arguments = *parsed;
    if (arguments.flag("help")) {
        std::printf("droplet %s: %s\n\nusage: droplet %s %s\n\noptions:\n",
                    std::string(command->name).c_str(), std::string(command->purpose).c_str(),
                    std::string(command->name).c_str(), std::string(command->usage).c_str());
        print_options(command->options);
        return 0;
    }
    RAIND_CHECK(read_globals(globals, session));
    auto done = command->run(arguments, session, progress);
    if (is_audited(name, done.has_value())) {
        const auto& words = arguments.words();
        session.audit(std::string(name), words.empty() ? std::string() : std::string(words[0]),
                      progress, done ? nullptr : &done.error());
    }
    return done;
}

}  // namespace

int run_command_line(std::span<const std::string_view> words) {
    Logger fallback;
    auto globals = Arguments::parse(words, kGlobalOptions, Mixing::StopAtWord);
    if (!globals) {
        fallback.error(globals.error().message());
        return 1;
    }
    if (globals->flag("version") || globals->flag("help")) {
        globals->flag("version") ? print_version() : print_help();
        return 0;
    }
    auto session = open_session(*globals);
    if (!session) {
        fallback.error(session.error().message());
        return 1;
    }
    auto status = run_command(*globals, *session);
    if (status)
        return *status;
    session->log.error(status.error().message());
    const bool exec = !globals->words().empty() && globals->words()[0] == "exec";
    return exec ? kExecFailure : 1;
}

}  // namespace raind::droplet
