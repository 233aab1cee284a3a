#include "cli/help.h"

#include <algorithm>
#include <fmt/format.h>

#include "cli/text.h"

namespace raind::cli {

namespace {

struct Line {
    std::string left;
    std::string right;
};

std::string columns(const std::vector<Line>& lines) {
    std::size_t width = 0;
    for (const Line& line : lines)
        width = std::max(width, char_width(line.left));
    std::string out;
    for (const Line& line : lines)
        out += fmt::format("  {:<{}}  {}\n", line.left, width, line.right);
    return out;
}

Line option_line(const OptionSpec& option) {
    std::string left = fmt::format("{}", fmt::join(split_names(option.names), ", "));
    if (!option.names.starts_with("--") || option.names.find(",-") != std::string::npos) {
        // Has a short form: stands at the margin.
    } else {
        left = "    " + left;
    }
    if (option.kind != OptionKind::Flag)
        left += " " + option.metavar;
    const std::string repeat = option.kind == OptionKind::List ? " (repeatable)" : "";
    return {left, option.help + repeat};
}

std::string option_block(const std::string& title, const std::vector<OptionSpec>& options) {
    if (options.empty())
        return {};
    std::vector<Line> lines;
    lines.reserve(options.size());
    for (const OptionSpec& option : options)
        lines.push_back(option_line(option));
    return fmt::format("\n{}:\n{}", title, columns(lines));
}

std::vector<std::string> groups_of(const std::vector<CommandSpec>& commands) {
    std::vector<std::string> groups;
    for (const CommandSpec& spec : commands) {
        if (!spec.group.empty() &&
            std::find(groups.begin(), groups.end(), spec.group) == groups.end())
            groups.push_back(spec.group);
    }
    return groups;
}

}  // namespace

const std::vector<OptionSpec>& global_options() {
    static const std::vector<OptionSpec> kOptions = {
        {"--host", OptionKind::Value, "HOST[:PORT]",
         "address of the daemon (else RAIND_HOST, else 127.0.0.1:7755)"},
        {"--root", OptionKind::Value, "DIR", "use the instance that was started with this root"},
        {"--format", OptionKind::Value, "FORMAT", "table or json (else RAIND_FORMAT)"},
        {"--verbose", OptionKind::Flag, "", "with errors, print the request id of the audit log"},
    };
    return kOptions;
}

std::string group_purpose(const std::string& group) {
    if (group == "container")
        return "create, run and look at containers";
    if (group == "image")
        return "pull, list and remove images";
    if (group == "volume")
        return "folders that outlive their containers";
    if (group == "policy")
        return "say which traffic is allowed";
    if (group == "logs")
        return "records of what the network let through and denied";
    return "the daemon and the host it runs on";
}

std::string command_name(const CommandSpec& spec) {
    return fmt::format("raind {}{}{}", spec.group, spec.group.empty() ? "" : " ", spec.verb);
}

std::string help_page(const CommandSpec& spec) {
    const std::string name = command_name(spec);
    std::string out = fmt::format("{}: {}\n\nUsage:\n  {} [options]{}{}\n", name, spec.purpose,
                                  name, spec.usage.empty() ? "" : " ", spec.usage);
    if (!spec.aliases.empty())
        out += fmt::format("\nAliases:\n  {}\n", fmt::join(spec.aliases, ", "));
    out += option_block("Options", spec.options);
    std::vector<OptionSpec> common = global_options();
    common.push_back({"-h,--help", OptionKind::Flag, "", "print this page"});
    out += option_block("Options of every command", common);
    out += "\nExamples:\n";
    for (const std::string& example : spec.examples)
        out += fmt::format("  $ {}\n", example);
    out += fmt::format("\nSee also:\n  {}\n", fmt::join(spec.see_also, ", "));
    return out;
}

std::string group_page(const std::string& group, const std::vector<CommandSpec>& commands) {
    std::string out =
        fmt::format("raind {}: {}\n\nUsage:\n  raind {} COMMAND [options] ...\n\nCommands:\n",
                    group, group_purpose(group), group);
    std::vector<Line> lines;
    for (const CommandSpec& spec : commands) {
        if (spec.group == group)
            lines.push_back({spec.verb, spec.purpose});
    }
    out += columns(lines);
    return out + fmt::format("\nraind {} COMMAND --help explains one command.\n", group);
}

std::string main_page(const std::vector<CommandSpec>& commands) {
    std::string out =
        "raind: containers whose network traffic is denied until a policy allows it\n"
        "\nUsage:\n  raind [options] GROUP COMMAND [options] ...\n\nGroups:\n";
    std::vector<Line> lines;
    for (const std::string& group : groups_of(commands))
        lines.push_back({group, group_purpose(group)});
    out += columns(lines);
    lines.clear();
    for (const CommandSpec& spec : commands) {
        if (spec.group.empty())
            lines.push_back({spec.verb, spec.purpose});
    }
    out += "\nCommands without a group:\n" + columns(lines);
    std::vector<OptionSpec> options = global_options();
    options.push_back({"--version", OptionKind::Flag, "", "print the version"});
    options.push_back({"-h,--help", OptionKind::Flag, "", "print this page"});
    out += option_block("Options", options);
    out +=
        "\nExamples:\n"
        "  $ raind container run -d --name web busybox:1.36 httpd -f\n"
        "  $ raind policy add --type ew -s web -d db -p tcp --dport 5432\n"
        "\nraind GROUP --help lists the commands of a group.\n";
    return out;
}

}  // namespace raind::cli
