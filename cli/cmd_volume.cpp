// raind volume.
#include <fmt/format.h>

#include "raind/api/volume_codec.h"

#include "cli/command_util.h"
#include "cli/container_options.h"
#include "cli/text.h"
#include "userspace/common/json.h"

namespace raind::cli {

namespace {

// Files are removed one by one.
constexpr std::chrono::seconds kRemovePatience{1800};

std::string volume_target(const std::string& name) {
    return "/v1/volumes/" + percent_encode(name);
}

Outcome<int> run_volume_create(Context& context, const Parsed& parsed) {
    if (parsed.args.size() > 1)
        return usage_error(
            fmt::format("one volume at a time, not also {}", terminal_safe(parsed.args[1])));
    const std::string attempt = parsed.args.empty()
                                    ? "create a volume"
                                    : fmt::format("create volume {}", in_quotes(parsed.args[0]));
    api::CreateVolumeRequest request;
    if (!parsed.args.empty())
        request.name = parsed.args[0];
    RAIND_TRY(request.labels, labels_of(parsed));
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data,
              api->call({.method = "POST", .target = "/v1/volumes", .attempt = attempt},
                        api::encode(request)));
    auto made = api::decode<api::VolumeInfo>(data);
    if (!made)
        return not_understood(attempt, made.error().message());
    print_result(context, terminal_safe(made->name), data);
    return kExitDone;
}

Outcome<int> run_volume_rm(Context& context, const Parsed& parsed) {
    return for_each_argument(
        context, parsed, "volume required", [&](const std::string& name) -> Outcome<void> {
            RAIND_TRY(ApiClient* const api, context.api());
            RAIND_TRY(const Json data,
                      api->call({.method = "DELETE",
                                 .target = volume_target(name),
                                 .attempt = fmt::format("remove volume {}", in_quotes(name)),
                                 .patience = kRemovePatience}));
            print_result(context, terminal_safe(name), data);
            return {};
        });
}

Outcome<int> run_volume_ls(Context& context, const Parsed& parsed) {
    RAIND_CHECK(no_arguments(parsed));
    const std::string attempt = "list the volumes";
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data, api->call({.target = "/v1/volumes", .attempt = attempt}));
    const auto volumes = api::decode_list<api::VolumeInfo>(data);
    if (!volumes)
        return not_understood(attempt, volumes.error().message());
    if (context.json() && !parsed.flag("quiet")) {
        for (const Json& entry : data)
            context.print_json(entry);
        return kExitDone;
    }
    const std::time_t now = std::time(nullptr);
    Table table({"VOLUME NAME", "STATE", "CREATED", "USED BY"});
    for (const api::VolumeInfo& volume : *volumes) {
        if (parsed.flag("quiet"))
            context.print_line(terminal_safe(volume.name));
        const auto created = parse_time(volume.created_at);
        table.add({terminal_safe(volume.name), terminal_safe(volume.state),
                   created ? relative_time(*created, now) : std::string(),
                   terminal_safe(fmt::format("{}", fmt::join(volume.users, ",")))});
    }
    if (!parsed.flag("quiet"))
        context.print(table.render());
    return kExitDone;
}

Outcome<int> run_volume_inspect(Context& context, const Parsed& parsed) {
    Json found = Json::array();
    RAIND_TRY(
        const int code,
        for_each_argument(
            context, parsed, "volume required", [&](const std::string& name) -> Outcome<void> {
                RAIND_TRY(ApiClient* const api, context.api());
                RAIND_TRY(
                    Json data,
                    api->call({.target = volume_target(name),
                               .attempt = fmt::format("inspect volume {}", in_quotes(name))}));
                found.push_back(std::move(data));
                return {};
            }));
    context.print_json(found, 4);
    return code;
}

CommandSpec volume_spec(const std::string& verb, const std::string& purpose,
                        const std::string& usage, Outcome<int> (*run)(Context&, const Parsed&),
                        std::vector<std::string> examples) {
    CommandSpec spec;
    spec.group = "volume";
    spec.verb = verb;
    spec.purpose = purpose;
    spec.usage = usage;
    spec.examples = std::move(examples);
    for (const char* const other : {"create", "ls", "inspect", "rm"}) {
        if (verb != other)
            spec.see_also.push_back(fmt::format("raind volume {}", other));
    }
    spec.see_also.push_back("raind container run");
    spec.run = run;
    return spec;
}

}  // namespace

std::vector<CommandSpec> volume_commands() {
    CommandSpec create = volume_spec(
        "create", "make an empty volume and print its name", "[NAME]", run_volume_create,
        {"raind volume create db-data", "raind volume create -l stage=test db-data"});
    create.options = {{"-l,--label", OptionKind::List, "KEY=VALUE", "label of the volume"}};
    create.refused = {{"-d,--driver", OptionKind::Value, "volumes are folders of this host"},
                      {"-o,--opt", OptionKind::List, "volumes are folders of this host"}};
    CommandSpec list = volume_spec("ls", "list the volumes", "", run_volume_ls,
                                   {"raind volume ls", "raind volume ls --format json"});
    list.aliases = {"list"};
    list.options = {{"-q,--quiet", OptionKind::Flag, "", "names only"}};
    list.refused = {{"-f,--filter", OptionKind::List, {}}};
    CommandSpec inspect = volume_spec(
        "inspect", "print all that is known about volumes, as JSON", "VOLUME [VOLUME ...]",
        run_volume_inspect,
        {"raind volume inspect db-data", "raind volume inspect db-data | jq -r '.[0].mountpoint'"});
    CommandSpec remove = volume_spec(
        "rm", "remove volumes that no container uses, with their content", "VOLUME [VOLUME ...]",
        run_volume_rm, {"raind volume rm db-data", "raind volume rm db-data wp-content"});
    remove.aliases = {"remove"};
    remove.refused = {{"-f,--force", OptionKind::Flag, "remove its containers first"}};
    return {std::move(create), std::move(list), std::move(inspect), std::move(remove)};
}

}  // namespace raind::cli
