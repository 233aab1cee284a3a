// raind system.
#include <fmt/format.h>

#include "raind/api/codec.h"

#include "cli/command_util.h"
#include "cli/text.h"
#include "userspace/common/json.h"

namespace raind::cli {

namespace {

// Some features are probed by trying them.
constexpr std::chrono::seconds kCheckPatience{60};

void print_info(Context& context, const api::SystemInfo& info) {
    const std::vector<std::pair<std::string, std::string>> lines = {
        {"daemon", info.version},
        {"listens on", info.management},
        {"started at", info.started_at},
        {"kernel", info.kernel},
        {"backend", info.backend},
        {"node", info.node},
        {"policy revision", std::to_string(info.policy_revision)},
        {"containers", fmt::format("{} ({} running)", info.containers, info.containers_running)}};
    for (const auto& [label, value] : lines)
        context.print_line(fmt::format("{:<16} {}", label, terminal_safe(value)));
    context.print_line("");
}

Outcome<int> run_check(Context& context, const Parsed& parsed) {
    RAIND_CHECK(no_arguments(parsed));
    const std::string attempt = "check the system";
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json info_data, api->call({.target = "/v1/system/info", .attempt = attempt}));
    RAIND_TRY(
        const Json check_data,
        api->call({.target = "/v1/system/check", .attempt = attempt, .patience = kCheckPatience}));
    auto info = api::decode<api::SystemInfo>(info_data);
    if (!info)
        return not_understood(attempt, info.error().message());
    auto checks = api::decode_list<api::SystemCheck>(check_data);
    if (!checks)
        return not_understood(attempt, checks.error().message());
    bool failed = false;
    Table table({"STATUS", "CHECK", "DETAIL"});
    for (const api::SystemCheck& check : *checks) {
        // Only what is known to be harmless passes.
        failed = failed || (check.status != "ok" && check.status != "warning");
        table.add(
            {terminal_safe(check.status), terminal_safe(check.name), terminal_safe(check.detail)});
    }
    if (context.json()) {
        context.print_json(Json{{"info", info_data}, {"checks", check_data}});
    } else {
        print_info(context, *info);
        context.print(table.render());
    }
    return failed ? kExitFailed : kExitDone;
}

}  // namespace

std::vector<CommandSpec> system_commands() {
    CommandSpec spec;
    spec.group = "system";
    spec.verb = "check";
    spec.purpose = "show the daemon and whether this host has what it needs";
    spec.examples = {"raind system check", "raind --root /var/tmp/demo system check --format json"};
    spec.see_also = {"raind container ls", "raind policy ls", "raind logs netflow"};
    spec.run = run_check;
    return {std::move(spec)};
}

}  // namespace raind::cli
