// raind container exec and logs: the commands that carry a container's own bytes.
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>

#include "raind/api/codec.h"

#include "cli/command_util.h"
#include "cli/container_io.h"
#include "cli/container_options.h"
#include "cli/log_view.h"
#include "cli/stream_session.h"
#include "cli/text.h"
#include "userspace/common/fs.h"
#include "userspace/common/json.h"

namespace raind::cli {

namespace {

constexpr int kDefaultLines = 100;
constexpr int kMaxLines = 5000;
// A container may be silent for as long as it likes.
constexpr std::chrono::seconds kFollowPatience{365L * 24 * 3600};
constexpr std::chrono::seconds kReadPatience{60};

Outcome<int> run_exec(Context& context, const Parsed& parsed) {
    if (parsed.args.empty() || parsed.args[0].empty())
        return usage_error("container-id required");
    if (parsed.args.size() < 2 || parsed.args[1].empty())
        return usage_error("command required");
    const std::string& container = parsed.args[0];
    const std::string attempt =
        fmt::format("run {} in container {}", in_quotes(parsed.args[1]), in_quotes(container));
    api::ExecRequest request;
    request.command.assign(parsed.args.begin() + 1, parsed.args.end());
    request.detach = parsed.flag("detach");
    request.user = parsed.value("user");
    request.working_dir = parsed.value("workdir");
    RAIND_TRY(request.env, environment_of(parsed));
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data, api->call({.method = "POST",
                                          .target = container_target(container, "/actions/exec"),
                                          .attempt = attempt},
                                         api::encode(request)));
    if (request.detach) {
        if (context.json())
            context.print_json(data);
        return kExitDone;
    }
    auto created = api::decode<api::ExecCreated>(data);
    if (!created || created->exec_id.empty())
        return not_understood(attempt, "no exec_id in it");
    const SignalForwarding signals;
    const std::string target =
        container_target(container, "/exec/attach?exec_id=" + percent_encode(created->exec_id));
    RAIND_TRY(Upgraded upgraded, open_stream(api->endpoint(), target, attempt));
    return run_streams(std::move(upgraded), signals, attempt);
}

Outcome<int> run_logs(Context& context, const Parsed& parsed) {
    RAIND_TRY(const std::string container, single_argument(parsed, "container-id required"));
    RAIND_TRY(const int lines, number_option(parsed, "line", 1, kMaxLines, kDefaultLines));
    const bool follow = parsed.flag("follow");
    std::string target = container_target(
        container, fmt::format("/log?tail_lines={}&raw=1{}", lines, follow ? "&follow=1" : ""));
    int write_error = 0;
    LogSplitter splitter(parsed.flag("timestamps"), [&](LogStream stream, std::string_view bytes) {
        const int fd = stream == LogStream::Err ? STDERR_FILENO : STDOUT_FILENO;
        if (write_error == 0) {
            if (auto written = write_all(fd, bytes); !written)
                write_error = written.error().os_error();
        }
    });
    RAIND_TRY(ApiClient* const api, context.api());
    const ApiCall call{.method = "GET",
                       .target = std::move(target),
                       .attempt = fmt::format("read the log of container {}", in_quotes(container)),
                       .patience = follow ? kFollowPatience : kReadPatience};
    RAIND_CHECK(api->stream(call, [&](std::string_view bytes) {
        splitter.feed(bytes);
        return write_error == 0;
    }));
    splitter.finish();
    if (write_error == EPIPE)
        return kExitFailed;
    if (write_error != 0)
        return failure(fmt::format("cannot write the log: {}", std::strerror(write_error)));
    return kExitDone;
}

CommandSpec exec_spec() {
    CommandSpec spec;
    spec.group = "container";
    spec.verb = "exec";
    spec.purpose = "run a command in a running container, with its streams and exit code";
    spec.usage = "CONTAINER COMMAND [ARG ...]";
    spec.options = {
        {"-d,--detach", OptionKind::Flag, "", "start it and return at once"},
        {"-e,--env,--environment", OptionKind::List, "KEY=VALUE",
         "environment variable; KEY alone takes the value from this shell"},
        {"-i,--interactive", OptionKind::Flag, "", "accepted; standard input is always passed on"},
        {"-u,--user", OptionKind::Value, "USER[:GROUP]",
         "names of the container or numbers (else the container's user)"},
        {"-w,--workdir", OptionKind::Value, "DIR", "working directory of the command"},
    };
    spec.refused = {{"-t,--tty", OptionKind::Flag, "without it, all three streams are passed on"},
                    {"--privileged", OptionKind::Flag, {}},
                    {"--detach-keys", OptionKind::Value, {}},
                    {"--env-file", OptionKind::List, "use -e KEY=VALUE"}};
    spec.examples = {"raind container exec web ls -l /",
                     "tar c . | raind container exec -w /srv web tar x"};
    spec.see_also = {"raind container run", "raind container logs", "raind container inspect"};
    spec.scope = OptionScope::BeforeFirstWord;
    spec.failure_exit = kExitUsage;
    spec.run = run_exec;
    return spec;
}

CommandSpec logs_spec() {
    CommandSpec spec;
    spec.group = "container";
    spec.verb = "logs";
    spec.purpose = "print what a container has written";
    spec.usage = "CONTAINER";
    spec.options = {
        {"-n,--line,--tail", OptionKind::Value, "N", "the last N lines: 1 to 5000 (default 100)"},
        {"-f,--follow", OptionKind::Flag, "", "go on until the container ends"},
        {"-t,--timestamps", OptionKind::Flag, "", "the time in front of each line"},
    };
    spec.refused = {{"--pager", OptionKind::Flag, "pipe it: raind container logs NAME | less -R"},
                    {"--since", OptionKind::Value, "use --line N and --timestamps"},
                    {"--until", OptionKind::Value, "use --line N and --timestamps"}};
    spec.examples = {"raind container logs --line 20 web",
                     "raind container logs -f --timestamps web"};
    spec.see_also = {"raind logs netflow", "raind container ls", "raind container exec"};
    spec.run = run_logs;
    return spec;
}

}  // namespace

std::vector<CommandSpec> container_io_commands() {
    return {exec_spec(), logs_spec()};
}

}  // namespace raind::cli
