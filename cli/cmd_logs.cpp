// raind logs.
#include <deque>
#include <fmt/format.h>

#include "cli/command_util.h"
#include "cli/log_view.h"
#include "cli/text.h"
#include "userspace/common/text.h"

namespace raind::cli {

namespace {

constexpr int kDefaultLines = 100;
constexpr int kMaxLines = 10000;

Outcome<int> run_netflow(Context& context, const Parsed& parsed) {
    RAIND_CHECK(no_arguments(parsed));
    RAIND_TRY(const int lines, number_option(parsed, "line", 1, kMaxLines, kDefaultLines));
    const std::string target = parsed.value("target");
    // The last N lines that match may lie far back.
    const int fetched = target.empty() ? lines : kMaxLines;
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const std::string text,
              api->text({.target = fmt::format("/v1/logs/netflow?tail_lines={}", fetched),
                         .attempt = "read the netflow log"}));
    std::deque<std::string> kept;
    for (std::string& line : split(text, '\n')) {
        if (trim(line).empty() || (!target.empty() && !netflow_matches(line, target)))
            continue;
        kept.push_back(std::move(line));
        if (kept.size() > static_cast<std::size_t>(lines))
            kept.pop_front();
    }
    const bool json = parsed.flag("json") || context.json();
    for (const std::string& line : kept)
        context.print_line(json ? ascii_json(line) : netflow_line(line));
    return kExitDone;
}

}  // namespace

std::vector<CommandSpec> logs_commands() {
    CommandSpec spec;
    spec.group = "logs";
    spec.verb = "netflow";
    spec.purpose = "print which traffic was let through and which was denied";
    spec.options = {
        {"-n,--line", OptionKind::Value, "N", "the last N records: 1 to 10000 (default 100)"},
        {"--json", OptionKind::Flag, "", "the records as they are stored, one JSON object a line"},
        {"-t,--target", OptionKind::Value, "PEER",
         "only records with this container (name or id) or address at one end"},
    };
    spec.refused = {{"--pager", OptionKind::Flag, "pipe it: raind logs netflow | less"},
                    {"-f,--follow", OptionKind::Flag, "call it again, or read --json --line N"}};
    spec.examples = {"raind logs netflow --line 20 --target web",
                     "raind logs netflow --json | jq 'select(.verdict == \"deny\")'"};
    spec.see_also = {"raind policy ls", "raind policy add", "raind container logs"};
    spec.run = run_netflow;
    return {std::move(spec)};
}

}  // namespace raind::cli
