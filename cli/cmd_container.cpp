// raind container: everything but exec and logs, which are in cmd_container_io.cpp.
#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <unistd.h>

#include "raind/api/codec.h"

#include "cli/command_util.h"
#include "cli/container_io.h"
#include "cli/container_options.h"
#include "cli/container_view.h"
#include "cli/stop_on_signal.h"
#include "cli/text.h"
#include "userspace/common/json.h"

namespace raind::cli {

namespace {

// Creating may pull the image first, starting fill a volume, removing delete a large tree.
constexpr std::chrono::seconds kWorkPatience{1800};
constexpr std::chrono::seconds kKillPatience{60};
// A container may run for as long as it likes.
constexpr std::chrono::seconds kWaitPatience{365L * 24 * 3600};

Outcome<std::string> create(Context& context, const api::CreateContainerRequest& request,
                            const std::string& attempt) {
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data, api->call({.method = "POST",
                                          .target = "/v1/containers",
                                          .attempt = attempt,
                                          .patience = kWorkPatience},
                                         api::encode(request)));
    auto id = JsonReader(data, "data").string("id");
    if (!data.is_object() || !id)
        return not_understood(attempt, "no id in it");
    return terminal_safe(*id);
}

Outcome<Json> action(Context& context, const std::string& container, const std::string& verb,
                     const Json& body, const std::string& attempt) {
    RAIND_TRY(ApiClient* const api, context.api());
    const bool deletes = verb == "delete";
    const std::chrono::seconds patience = verb == "stop"   ? kStopPatience
                                          : verb == "kill" ? kKillPatience
                                                           : kWorkPatience;
    return api->call({.method = deletes ? "DELETE" : "POST",
                      .target = container_target(container, "/actions/" + verb),
                      .attempt = attempt,
                      .patience = patience},
                     body);
}

Outcome<int> run_create(Context& context, const Parsed& parsed) {
    const std::string attempt = "create container";
    RAIND_TRY(const api::CreateContainerRequest request, create_request(parsed, attempt));
    RAIND_TRY(const std::string id, create(context, request, attempt));
    print_result(context, fmt::format("container: {} created", id), Json{{"id", id}});
    return kExitDone;
}

Outcome<Json> start(Context& context, const std::string& container, const std::string& attempt) {
    return action(context, container, "start", Json{{"tty", false}}, attempt);
}

// Waits until the container has ended and the daemon has removed it; gives its exit code.
Outcome<int> wait_for_end(Context& context, const std::string& id,
                          const SignalForwarding& signals) {
    RAIND_TRY(ApiClient* const api, context.api());
    const StopOnSignal stop_on_signal(api->endpoint(), id, signals);
    const std::string attempt = fmt::format("wait for container {}", in_quotes(id));
    RAIND_TRY(const Json data, api->call({.method = "GET",
                                          .target = container_target(id, "/wait"),
                                          .attempt = attempt,
                                          .patience = kWaitPatience}));
    auto ended = api::decode<api::WaitResult>(data);
    if (!ended)
        return not_understood(attempt, ended.error().message());
    if (!context.json())
        context.print_line(fmt::format("container: {} removed", id));
    return ended->exit_code & 0xff;
}

Outcome<int> run_run(Context& context, const Parsed& parsed) {
    const std::string attempt = "run container";
    RAIND_TRY(api::CreateContainerRequest request, create_request(parsed, attempt));
    const bool detach = parsed.flag("detach");
    const bool remove = parsed.flag("rm");
    // By the daemon also when this command waits: it may be killed before the end.
    request.auto_remove = remove;
    RAIND_TRY(const std::string id, create(context, request, attempt));
    // From the start on a signal is for the container that this command waits for.
    std::optional<SignalForwarding> signals;
    if (remove && !detach)
        signals.emplace();
    auto started = start(context, id, fmt::format("start container {}", in_quotes(id)));
    if (!started) {
        if (remove) {
            // The first error is the one to tell; a container that is gone already is fine.
            static_cast<void>(action(context, id, "delete", Json(), "remove container"));
        }
        return std::move(started.error());
    }
    if (context.json())
        context.print_json(Json{{"id", id}});
    else
        context.print_line(detach ? id : fmt::format("container: {} started", id));
    RAIND_CHECK(context.flush());
    return signals ? wait_for_end(context, id, *signals) : Outcome<int>(kExitDone);
}

Outcome<int> run_start(Context& context, const Parsed& parsed) {
    return for_each_argument(
        context, parsed, "container-id required", [&](const std::string& name) -> Outcome<void> {
            RAIND_TRY(const Json data,
                      start(context, name, fmt::format("start container {}", in_quotes(name))));
            print_result(context, fmt::format("container: {} started", terminal_safe(name)), data);
            return {};
        });
}

Outcome<int> run_stop(Context& context, const Parsed& parsed) {
    return for_each_argument(
        context, parsed, "container-id required", [&](const std::string& name) -> Outcome<void> {
            RAIND_TRY(const Json data, action(context, name, "stop", Json(),
                                              fmt::format("stop container {}", in_quotes(name))));
            print_result(context, fmt::format("container: {} stopped", terminal_safe(name)), data);
            return {};
        });
}

Outcome<int> run_kill(Context& context, const Parsed& parsed) {
    const std::string signal = parsed.value("signal", "KILL");
    const bool plain = !signal.empty() && std::all_of(signal.begin(), signal.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '+' || c == '-';
    });
    if (!plain)
        return usage_error(fmt::format("--signal {} is not a signal", in_quotes(signal)),
                           "for example TERM, HUP, 9");
    return for_each_argument(
        context, parsed, "container-id required", [&](const std::string& name) -> Outcome<void> {
            api::KillRequest request;
            request.signal = signal;
            RAIND_TRY(const Json data, action(context, name, "kill", api::encode(request),
                                              fmt::format("kill container {}", in_quotes(name))));
            print_result(context, fmt::format("container: {} killed", terminal_safe(name)), data);
            return {};
        });
}

Outcome<int> run_rm(Context& context, const Parsed& parsed) {
    return for_each_argument(
        context, parsed, "container-id required", [&](const std::string& name) -> Outcome<void> {
            RAIND_TRY(const Json data, action(context, name, "delete", Json(),
                                              fmt::format("remove container {}", in_quotes(name))));
            print_result(context, fmt::format("container: {} removed", terminal_safe(name)), data);
            return {};
        });
}

struct Listed {
    api::ContainerInfo info;
    Json json;
};

Outcome<std::vector<Listed>> list(Context& context) {
    const std::string attempt = "list the containers";
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data, api->call({.target = "/v1/containers", .attempt = attempt}));
    std::vector<Listed> out;
    if (data.is_null())
        return out;
    if (!data.is_array())
        return not_understood(attempt, "no list");
    for (const Json& entry : data) {
        auto info = api::decode<api::ContainerInfo>(entry);
        if (!info)
            return not_understood(attempt, info.error().message());
        out.push_back({std::move(*info), entry});
    }
    // The newest first; the id breaks ties, so that the order is always the same.
    std::sort(out.begin(), out.end(), [](const Listed& left, const Listed& right) {
        const auto key = [](const Listed& entry) {
            return std::pair(parse_time(entry.info.creating_at).value_or(0),
                             entry.info.container_id);
        };
        return key(left) > key(right);
    });
    return out;
}

Outcome<int> run_ls(Context& context, const Parsed& parsed) {
    RAIND_CHECK(no_arguments(parsed));
    RAIND_TRY(const std::vector<Listed> containers, list(context));
    if (parsed.flag("quiet") || context.json()) {
        for (const Listed& entry : containers) {
            if (parsed.flag("quiet"))
                context.print_line(terminal_safe(entry.info.container_id));
            else
                context.print_json(entry.json);
        }
        return kExitDone;
    }
    const std::time_t now = std::time(nullptr);
    Table table({"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAME"});
    for (const Listed& entry : containers)
        table.add({terminal_safe(entry.info.container_id),
                   familiar_image(entry.info.image_repository, entry.info.image_reference),
                   command_cell(entry.info.command, !parsed.flag("no-trunc")),
                   created_cell(entry.info, now), terminal_safe(entry.info.state),
                   ports_cell(entry.json), terminal_safe(entry.info.name)});
    context.print(table.render());
    return kExitDone;
}

Outcome<int> run_inspect(Context& context, const Parsed& parsed) {
    Json found = Json::array();
    RAIND_TRY(
        const int code,
        for_each_argument(
            context, parsed, "container-id required",
            [&](const std::string& name) -> Outcome<void> {
                RAIND_TRY(ApiClient* const api, context.api());
                const std::string attempt = fmt::format("inspect container {}", in_quotes(name));
                RAIND_TRY(Json data,
                          api->call({.target = container_target(name, ""), .attempt = attempt}));
                found.push_back(std::move(data));
                return {};
            }));
    context.print_json(found, 4);
    return code;
}

std::vector<std::string> related(const std::string& own) {
    std::vector<std::string> out;
    for (const char* const verb : {"run", "start", "stop", "rm", "ls", "logs"}) {
        if (own != verb)
            out.push_back(fmt::format("raind container {}", verb));
    }
    return out;
}

CommandSpec simple(const std::string& verb, const std::string& purpose, const std::string& usage,
                   Outcome<int> (*run)(Context&, const Parsed&),
                   std::vector<std::string> examples) {
    CommandSpec spec;
    spec.group = "container";
    spec.verb = verb;
    spec.purpose = purpose;
    spec.usage = usage;
    spec.examples = std::move(examples);
    spec.see_also = related(verb);
    spec.run = run;
    return spec;
}

CommandSpec create_spec() {
    CommandSpec spec =
        simple("create", "make a container without starting it", "IMAGE[:TAG] [COMMAND [ARG ...]]",
               run_create,
               {"raind container create --name db -e PGDATA=/data postgres:16",
                "raind container create --read-only --cap-drop ALL busybox:1.36 sleep 600"});
    spec.options = create_options();
    spec.refused = refused_create_options();
    spec.refused.push_back({"-d,--detach", OptionKind::Flag, "create never attaches"});
    spec.refused.push_back({"--rm", OptionKind::Flag, "raind container run has it"});
    spec.scope = OptionScope::BeforeFirstWord;
    spec.failure_exit = kExitUsage;
    return spec;
}

CommandSpec run_spec() {
    CommandSpec spec = simple(
        "run", "make a container and start it", "IMAGE[:TAG] [COMMAND [ARG ...]]", run_run,
        {"raind container run -d --name web busybox:1.36 httpd -f",
         "raind container run --rm -e CODE=7 busybox:1.36 sh -c 'exit $CODE'",
         "raind container run -d -v db-data:/var/lib/mysql -v /srv/my:/etc/mysql:ro mysql:8"});
    spec.options = create_options();
    spec.options.push_back({"-d,--detach", OptionKind::Flag, "", "print the id and nothing else"});
    spec.options.push_back(
        {"--rm", OptionKind::Flag, "",
         "remove it when it ends; without -d, wait for that and give its exit code"});
    spec.refused = refused_create_options();
    spec.scope = OptionScope::BeforeFirstWord;
    spec.failure_exit = kExitUsage;
    return spec;
}

CommandSpec start_spec() {
    CommandSpec spec =
        simple("start", "start containers", "CONTAINER [CONTAINER ...]", run_start,
               {"raind container start web", "raind container start 01kx4m2r7vqa db"});
    spec.options = {{"-t,--tty", OptionKind::Flag, "",
                     "accepted; whether there is a terminal is fixed when a container is made"}};
    spec.refused = {{"-a,--attach", OptionKind::Flag, "raind container logs -f shows the output"},
                    {"-i,--interactive", OptionKind::Flag, {}}};
    return spec;
}

CommandSpec kill_spec() {
    CommandSpec spec =
        simple("kill", "send a signal to containers", "CONTAINER [CONTAINER ...]", run_kill,
               {"raind container kill web", "raind container kill -s HUP web"});
    spec.options = {{"-s,--signal", OptionKind::Value, "SIGNAL",
                     "signal to send, by name or number (default KILL)"}};
    return spec;
}

CommandSpec rm_spec() {
    CommandSpec spec =
        simple("rm", "remove containers that do not run", "CONTAINER [CONTAINER ...]", run_rm,
               {"raind container rm web", "raind container rm web db"});
    spec.refused = {{"-f,--force", OptionKind::Flag, "stop it first: raind container stop NAME"},
                    {"-v,--volumes", OptionKind::Flag, {}}};
    return spec;
}

CommandSpec ls_spec() {
    CommandSpec spec = simple("ls", "list the containers, whatever their state", "", run_ls,
                              {"raind container ls", "raind container ls --format json"});
    spec.aliases = {"list", "ps"};
    spec.options = {{"-a,--all", OptionKind::Flag, "", "accepted; all states are listed anyway"},
                    {"-q,--quiet", OptionKind::Flag, "", "ids only"},
                    {"--no-trunc", OptionKind::Flag, "", "do not cut the command"}};
    return spec;
}

}  // namespace

std::string container_target(const std::string& container, const std::string& rest) {
    return "/v1/containers/" + percent_encode(container) + rest;
}

std::vector<CommandSpec> container_commands() {
    std::vector<CommandSpec> commands = {create_spec(), run_spec(), start_spec()};
    CommandSpec stop = simple(
        "stop",
        "stop containers: their stop signal (TERM), and KILL after their stop timeout (3 seconds)",
        "CONTAINER [CONTAINER ...]", run_stop,
        {"raind container stop web", "raind container stop web db"});
    stop.refused = {
        {"-t,--time", OptionKind::Value,
         "the container says how long, by run --stop-timeout; raind container kill sends KILL at once"}};
    commands.push_back(std::move(stop));
    commands.push_back(kill_spec());
    commands.push_back(rm_spec());
    commands.push_back(ls_spec());
    for (CommandSpec& spec : container_io_commands())
        commands.push_back(std::move(spec));
    commands.push_back(
        simple("inspect", "print all that is known about containers, as JSON",
               "CONTAINER [CONTAINER ...]", run_inspect,
               {"raind container inspect web", "raind container inspect web | jq -r '.[0].pid'"}));
    return commands;
}

}  // namespace raind::cli
