// From the words of a command line to the command: groups, verbs, help pages, what is refused by
// name, and the nearest match of a mistyped word.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <fmt/format.h>
#include <optional>

#include "cli/command.h"
#include "cli/context.h"
#include "cli/help.h"
#include "cli/text.h"

namespace raind::cli {

namespace {

// Docker's short verbs; they come with a later release.
constexpr std::array<std::string_view, 41> kShortVerbs = {
    "run",    "create",  "start",  "stop",    "restart", "kill",   "rm",     "ps",   "exec",
    "attach", "inspect", "cp",     "top",     "stats",   "port",   "rename", "wait", "diff",
    "pause",  "unpause", "update", "commit",  "export",  "images", "pull",   "push", "tag",
    "rmi",    "save",    "load",   "history", "import",  "build",  "events", "info", "version",
    "up",     "down",    "search", "ls",      "list"};

// Verbs of a group that come with a later release, and their neighbours in the original.
constexpr std::array<std::string_view, 25> kLaterVerbs = {
    "attach",  "restart", "cp",     "top",    "stats",   "port", "rename", "wait", "diff",
    "pause",   "unpause", "update", "commit", "export",  "push", "tag",    "save", "load",
    "history", "import",  "build",  "edit",   "explain", "map",  "prune"};

bool is_help_word(const std::string& word) {
    return word == "--help" || word == "-h" || word == "help" || word == "h";
}

std::vector<CommandSpec> all_commands() {
    std::vector<CommandSpec> all;
    for (auto* const make :
         {&container_commands, &image_commands, &volume_commands, &policy_commands, &logs_commands,
          &system_commands, &registry_commands}) {
        for (CommandSpec& spec : make())
            all.push_back(std::move(spec));
    }
    return all;
}

std::vector<std::string> verbs_of(const std::vector<CommandSpec>& commands,
                                  const std::string& group) {
    std::vector<std::string> verbs;
    for (const CommandSpec& spec : commands) {
        if (spec.group == group)
            verbs.push_back(spec.verb);
    }
    return verbs;
}

std::vector<std::string> groups_of(const std::vector<CommandSpec>& commands) {
    std::vector<std::string> groups;
    for (const CommandSpec& spec : commands) {
        if (!spec.group.empty())
            groups.push_back(spec.group);
    }
    groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
    return groups;
}

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

std::string long_form(const std::vector<CommandSpec>& commands, const std::string& verb) {
    if (verb == "ps")
        return "raind container ls";
    if (verb == "images")
        return "raind image ls";
    if (verb == "rmi")
        return "raind image rm";
    for (const CommandSpec& spec : commands) {
        if (spec.verb == verb && (spec.group == "container" || spec.group == "image"))
            return fmt::format("raind {} {}", spec.group, verb);
    }
    return {};
}

CliError unknown_group(const std::vector<CommandSpec>& commands, const std::string& word) {
    if (contains(kShortVerbs, word)) {
        const std::string use = long_form(commands, word);
        return usage_error(
            fmt::format("the short verb \"raind {}\" is not available in this version", word),
            use.empty() ? "raind --help lists what is there" : "use: " + use);
    }
    CliError error = usage_error(fmt::format("unknown command group \"{}\"", terminal_safe(word)));
    error.exit_code = kExitUnknownGroup;
    std::vector<std::string> known = groups_of(commands);
    for (const std::string& verb : verbs_of(commands, {}))
        known.push_back(verb);
    const auto near = nearest(word, known);
    error.hint =
        near ? fmt::format("did you mean \"raind {}\"?", *near) : "raind --help lists the groups";
    return error;
}

CliError unknown_verb(const std::vector<CommandSpec>& commands, const std::string& group,
                      const std::string& word) {
    const std::string name = terminal_safe(word);
    if (group == "logs" && !word.starts_with('-') && !nearest(word, {"netflow"}))
        return usage_error(fmt::format("\"raind logs {}\" is not available in this version", name),
                           fmt::format("use: raind container logs {}", name));
    if (contains(kLaterVerbs, word))
        return usage_error(
            fmt::format("\"raind {} {}\" is not available in this version", group, name),
            fmt::format("raind {} --help lists what is there", group));
    const auto near = nearest(word, verbs_of(commands, group));
    return usage_error(fmt::format("unknown command \"raind {} {}\"", group, name),
                       near ? fmt::format("did you mean \"raind {} {}\"?", group, *near)
                            : fmt::format("raind {} --help lists the commands", group));
}

const CommandSpec* find_command(const std::vector<CommandSpec>& commands, const std::string& group,
                                const std::string& verb) {
    for (const CommandSpec& spec : commands) {
        const bool named = spec.verb == verb || std::find(spec.aliases.begin(), spec.aliases.end(),
                                                          verb) != spec.aliases.end();
        if (spec.group == group && named)
            return &spec;
    }
    return nullptr;
}

std::string environment(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

Outcome<Format> parse_format(const std::string& text) {
    if (text.empty() || text == "table")
        return Format::Table;
    if (text == "json")
        return Format::Json;
    return usage_error(fmt::format("the format {} is not supported", terminal_safe(text)),
                       "supported are: table, json");
}

// The option after the verb beats the one before the group, which beats the environment.
std::string pick(const Parsed& command, const Parsed& front, const std::string& name,
                 const std::string& fallback) {
    return command.value(name, front.value(name, fallback));
}

Outcome<Settings> make_settings(const Parsed& command, const Parsed& front) {
    Settings settings;
    settings.endpoint.root = pick(command, front, "root", {});
    while (settings.endpoint.root.size() > 1 && settings.endpoint.root.ends_with('/'))
        settings.endpoint.root.pop_back();
    if (settings.endpoint.root == "/")
        settings.endpoint.root.clear();
    // A root on the command line means that instance; RAIND_HOST then names another one.
    const std::string from_environment =
        settings.endpoint.root.empty() ? environment("RAIND_HOST") : std::string();
    settings.endpoint.host = pick(command, front, "host", from_environment);
    settings.verbose = command.flag("verbose") || front.flag("verbose");
    RAIND_TRY(settings.format,
              parse_format(pick(command, front, "format", environment("RAIND_FORMAT"))));
    return settings;
}

CliError missing_required(const std::vector<std::string>& missing) {
    if (missing.size() == 1)
        return usage_error(fmt::format("Required flag \"{}\" not set", missing.front()));
    return usage_error(fmt::format("Required flags \"{}\" not set", fmt::join(missing, ", ")));
}

Outcome<int> print_page(const std::string& page) {
    Context context{Settings{}};
    context.print(page);
    RAIND_CHECK(context.flush());
    return kExitDone;
}

Outcome<int> run_command(const CommandSpec& spec, const Parsed& front,
                         const std::vector<std::string>& words, bool& verbose) {
    RAIND_TRY(const Parsed parsed, parse_command(spec, words));
    if (parsed.help)
        return print_page(help_page(spec));
    RAIND_TRY(Settings settings, make_settings(parsed, front));
    verbose = settings.verbose;
    std::vector<std::string> missing;
    for (const std::string& name : spec.required) {
        if (!parsed.has(name))
            missing.push_back(name);
    }
    if (!missing.empty()) {
        RAIND_TRY(const int shown, print_page(help_page(spec)));
        static_cast<void>(shown);
        return missing_required(missing);
    }
    Context context(std::move(settings));
    Outcome<int> code = spec.run(context, parsed);
    Outcome<void> flushed = context.flush();
    if (!code) {
        if (code.error().exit_code == kExitFailed)
            code.error().exit_code = spec.failure_exit;
        return code;
    }
    if (!flushed)
        return std::move(flushed.error());
    return code;
}

// Options in front of the group: those that every command has.
CommandSpec front_spec() {
    CommandSpec spec;
    spec.options = {{"--version", OptionKind::Flag, "", ""}, {"-v", OptionKind::Flag, "", ""}};
    spec.scope = OptionScope::BeforeFirstWord;
    return spec;
}

// A group, or a command without one, and what follows it.
Outcome<int> run_words(const std::vector<CommandSpec>& commands, const Parsed& front,
                       bool& verbose) {
    const std::vector<std::string>& rest = front.args;
    const std::string group = rest[0];
    if (const CommandSpec* const spec = find_command(commands, {}, group))
        return run_command(*spec, front, {rest.begin() + 1, rest.end()}, verbose);
    const std::vector<std::string> groups = groups_of(commands);
    if (std::find(groups.begin(), groups.end(), group) == groups.end())
        return unknown_group(commands, group);
    if (rest.size() == 1 || is_help_word(rest[1])) {
        if (rest.size() > 2) {
            if (const CommandSpec* const spec = find_command(commands, group, rest[2]))
                return print_page(help_page(*spec));
        }
        return print_page(group_page(group, commands));
    }
    const CommandSpec* const spec = find_command(commands, group, rest[1]);
    if (spec == nullptr)
        return unknown_verb(commands, group, rest[1]);
    return run_command(*spec, front, {rest.begin() + 2, rest.end()}, verbose);
}

Outcome<int> dispatch(const std::vector<std::string>& words, bool& verbose) {
    const std::vector<CommandSpec> commands = all_commands();
    auto front = parse_command(front_spec(), words);
    if (!front) {
        front.error().hint = "raind --help lists the options";
        return std::move(front.error());
    }
    if (front->flag("version")) {
        return print_page("raind version " RAIND_VERSION "\n");
    }
    if (front->flag("v"))
        front->set("verbose", {"true"});
    verbose = front->flag("verbose");
    std::vector<std::string>& rest = front->args;
    if (rest.size() > 1 && is_help_word(rest[0]))
        rest.erase(rest.begin());  // raind help GROUP [COMMAND]
    else if (front->help || rest.empty() || is_help_word(rest[0]))
        return print_page(main_page(commands));
    else
        return run_words(commands, *front, verbose);
    if (const CommandSpec* const spec = find_command(commands, {}, rest[0]))
        return print_page(help_page(*spec));
    if (rest.size() > 1) {
        if (const CommandSpec* const spec = find_command(commands, rest[0], rest[1]))
            return print_page(help_page(*spec));
    }
    rest.resize(1);
    return run_words(commands, *front, verbose);
}

}  // namespace

int run_cli(const std::vector<std::string>& words) {
    bool verbose = false;
    const Outcome<int> code = dispatch(words, verbose);
    if (code)
        return *code;
    print_error(code.error(), verbose);
    return code.error().exit_code;
}

}  // namespace raind::cli
