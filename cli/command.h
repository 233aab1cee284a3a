// The description of a command: the one table from which its options are parsed, its help page is
// written and mistyped words are corrected. Plain data without ownership of anything else.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/outcome.h"

namespace raind::cli {

class Context;

enum class OptionKind { Flag, Value, List };

struct OptionSpec {
    std::string names;  // as CLI11 takes them: "-e,--env,--environment"
    OptionKind kind = OptionKind::Flag;
    std::string metavar;
    std::string help;
    bool secret = false;  // no message shows its value
};

// An option of other tools or of later releases: parsed, then refused by its name before anything
// is sent.
struct RefusedOption {
    std::string names;
    OptionKind kind = OptionKind::Flag;
    std::string hint;
};

// What a command line gave. Options are found by any of their names without dashes.
class Parsed {
  public:
    std::vector<std::string> args;  // positional words, in order
    bool help = false;

    bool has(const std::string& name) const { return values_.contains(name); }
    bool flag(const std::string& name) const;
    // The last value, or the fallback.
    std::string value(const std::string& name, const std::string& fallback = {}) const;
    std::vector<std::string> values(const std::string& name) const;
    void set(const std::string& name, std::vector<std::string> values);

  private:
    std::map<std::string, std::vector<std::string>> values_;
};

enum class OptionScope {
    Anywhere,         // options may stand after positional words
    BeforeFirstWord,  // the rest belongs to the container's command untouched
};

struct CommandSpec {
    std::string group;  // empty: the verb stands by itself ("raind login")
    std::string verb;
    std::vector<std::string> aliases;
    std::string purpose;
    std::string usage;  // what follows "[options]"
    std::vector<OptionSpec> options;
    std::vector<RefusedOption> refused;
    std::vector<std::string> required;  // long names without dashes
    std::vector<std::string> examples;
    std::vector<std::string> see_also;
    OptionScope scope = OptionScope::Anywhere;
    int failure_exit = kExitFailed;
    Outcome<int> (*run)(Context&, const Parsed&) = nullptr;
};

// Options that every command has, and those that stand before the group.
const std::vector<OptionSpec>& global_options();

// All commands, one function per translation unit of a group.
std::vector<CommandSpec> container_commands();
std::vector<CommandSpec> image_commands();
std::vector<CommandSpec> volume_commands();
std::vector<CommandSpec> policy_commands();
std::vector<CommandSpec> logs_commands();
std::vector<CommandSpec> system_commands();
std::vector<CommandSpec> registry_commands();

// "raind image pull", "raind login".
std::string command_name(const CommandSpec& spec);

// Splits "-e,--env" into its names.
std::vector<std::string> split_names(const std::string& names);

// Parses the words after the verb.
Outcome<Parsed> parse_command(const CommandSpec& spec, const std::vector<std::string>& words);

}  // namespace raind::cli
