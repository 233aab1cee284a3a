// The only translation unit that includes CLI11: turns a CommandSpec into a parser and runs it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>
#include <fmt/format.h>
#include <memory>

#include "cli/command.h"
#include "cli/text.h"
#include "userspace/common/text.h"

namespace raind::cli {

namespace {

// CLI11 takes the next word for the value of "--name=". An empty value is carried through it as
// this character, which no option here accepts, and put back afterwards.
constexpr std::string_view kEmptyValue = "\x01";

struct Slot {
    const OptionSpec* spec = nullptr;
    const RefusedOption* refused = nullptr;
    std::vector<std::string> values;
    bool flag = false;
    CLI::Option* option = nullptr;
};

std::string bare(const std::string& name) {
    return name.substr(name.find_first_not_of('-'));
}

std::string shown(const std::string& names) {
    return fmt::format("{}", fmt::join(split_names(names), "/"));
}

void add_slot(CLI::App& app, Slot& slot, const std::string& names, OptionKind kind) {
    if (kind == OptionKind::Flag)
        slot.option = app.add_flag(names, slot.flag);
    else
        slot.option = app.add_option(names, slot.values)->allow_extra_args(false);
}

std::vector<std::string> protect_empty(const std::vector<std::string>& words) {
    std::vector<std::string> out;
    for (const std::string& word : words) {
        const bool empty = word.size() > 3 && word.starts_with("--") && word.ends_with('=') &&
                           word.find('=') == word.size() - 1;
        out.push_back(empty ? word + std::string(kEmptyValue) : word);
    }
    return out;
}

std::string restore_empty(std::string word) {
    if (word.starts_with("--") && word.ends_with(fmt::format("={}", kEmptyValue)))
        word.pop_back();
    return word;
}

CliError unknown_option(const CommandSpec& spec, const std::string& word) {
    const std::string name = word.substr(0, word.find('='));
    std::vector<std::string> known = {"--help"};
    for (const auto* list : {&spec.options, &global_options()}) {
        for (const OptionSpec& option : *list) {
            for (const std::string& candidate : split_names(option.names))
                known.push_back(candidate);
        }
    }
    const auto near = name.size() > 2 ? nearest(name, known) : std::nullopt;
    return usage_error(fmt::format("unknown option {}", terminal_safe(name)),
                       near ? fmt::format("did you mean {}?", *near)
                            : fmt::format("{} --help lists the options", command_name(spec)));
}

// "--flag=maybe", which the library tells as "Could not convert: --flag = maybe".
CliError not_a_switch(const std::string& text, const std::string& page) {
    const std::size_t name = text.find("--");
    const std::size_t equals = text.find(" = ", name);
    if (name == std::string::npos || equals == std::string::npos)
        return usage_error(terminal_safe(text), page);
    const std::string value = text.substr(equals + 3);
    return usage_error(fmt::format("option {} takes no value but true or false, not \"{}\"",
                                   terminal_safe(text.substr(name, equals - name)),
                                   value == kEmptyValue ? std::string() : terminal_safe(value)),
                       page);
}

// The name by which a message tells of an option: its long one, if it has one.
std::string long_name(const std::string& names) {
    const std::vector<std::string> all = split_names(names);
    const auto found =
        std::ranges::find_if(all, [](const auto& name) { return name.starts_with("--"); });
    return found == all.end() ? all.front() : *found;
}

CliError not_utf8(std::string_view what, std::string_view value) {
    return usage_error(fmt::format("{} \"{}\" is not UTF-8", what, terminal_safe(value)),
                       "names and values are text; other bytes cannot be sent");
}

// What no option takes, whatever it means: the commands need not look again.
Outcome<void> check_values(const Slot& slot) {
    const std::string name = long_name(slot.spec->names);
    for (const std::string& value : slot.values) {
        if (slot.spec->kind == OptionKind::Value && value.empty())
            return usage_error(fmt::format("{} is empty", name));
        if (valid_utf8(value) == value)
            continue;
        if (slot.spec->secret)
            return usage_error(fmt::format("{} is not UTF-8", name));
        return not_utf8(name, value);
    }
    return {};
}

CliError explain(const CommandSpec& spec, const CLI::ParseError& error) {
    const std::string page = fmt::format("{} --help lists the options", command_name(spec));
    const std::string text = error.what();
    // The library says "--name: 1 required TEXT missing".
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr)
        return usage_error(
            fmt::format("option {} needs a value", terminal_safe(text.substr(0, text.find(':')))),
            page);
    if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr)
        return not_a_switch(text, page);
    return usage_error(terminal_safe(text), page);
}

Outcome<Parsed> collect(const CommandSpec& spec, const CLI::App& app, std::deque<Slot>& slots) {
    Parsed parsed;
    parsed.args = app.remaining();
    for (std::string& word : parsed.args)
        word = restore_empty(std::move(word));
    // In both scopes a "--" that ends the options is the first thing left over, if it is there; in
    // the free one it may stand between positional words.
    auto mark = std::find(parsed.args.begin(), parsed.args.end(), "--");
    const bool may_erase = spec.scope == OptionScope::Anywhere || mark == parsed.args.begin();
    const auto end_of_options = spec.scope == OptionScope::Anywhere
                                    ? mark
                                    : parsed.args.begin() + (parsed.args.empty() ? 0 : 1);
    for (auto word = parsed.args.begin(); word != end_of_options; ++word) {
        if (word->size() > 1 && word->starts_with('-') && *word != "--")
            return unknown_option(spec, *word);
    }
    if (mark != parsed.args.end() && may_erase)
        parsed.args.erase(mark);
    // In front of the group the words are still unread; their command looks at them.
    for (const std::string& word : parsed.args) {
        if (!spec.verb.empty() && valid_utf8(word) != word)
            return not_utf8("argument", word);
    }
    for (Slot& slot : slots) {
        if (slot.option->count() == 0)
            continue;
        if (slot.refused != nullptr)
            return usage_error(fmt::format("option {} is not available in this version",
                                           shown(slot.refused->names)),
                               slot.refused->hint);
        for (std::string& value : slot.values) {
            if (value == kEmptyValue)
                value.clear();
        }
        RAIND_CHECK(check_values(slot));
        if (slot.spec->kind == OptionKind::Flag)
            slot.values = {slot.flag ? "true" : "false"};
        for (const std::string& name : split_names(slot.spec->names))
            parsed.set(bare(name), slot.values);
    }
    return parsed;
}

}  // namespace

bool Parsed::flag(const std::string& name) const {
    const auto found = values_.find(name);
    return found != values_.end() && !found->second.empty() && found->second.back() == "true";
}

std::string Parsed::value(const std::string& name, const std::string& fallback) const {
    const auto found = values_.find(name);
    return found == values_.end() || found->second.empty() ? fallback : found->second.back();
}

std::vector<std::string> Parsed::values(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::vector<std::string>() : found->second;
}

void Parsed::set(const std::string& name, std::vector<std::string> values) {
    values_[name] = std::move(values);
}

std::vector<std::string> split_names(const std::string& names) {
    std::vector<std::string> out;
    std::size_t start = 0;
    while (start <= names.size()) {
        const std::size_t end = std::min(names.find(',', start), names.size());
        out.push_back(names.substr(start, end - start));
        start = end + 1;
    }
    return out;
}

Outcome<Parsed> parse_command(const CommandSpec& spec, const std::vector<std::string>& words) {
    CLI::App app;
    app.set_help_flag();
    bool help = false;
    app.add_flag("-h,--help", help);
    std::deque<Slot> slots;  // stable addresses: CLI11 keeps references
    for (const auto* list : {&spec.options, &global_options()}) {
        for (const OptionSpec& option : *list) {
            slots.push_back(Slot{&option, nullptr, {}, false, nullptr});
            add_slot(app, slots.back(), option.names, option.kind);
        }
    }
    for (const RefusedOption& option : spec.refused) {
        slots.push_back(Slot{nullptr, &option, {}, false, nullptr});
        add_slot(app, slots.back(), option.names, option.kind);
    }
    if (spec.scope == OptionScope::BeforeFirstWord)
        app.prefix_command();
    app.allow_extras();
    std::vector<std::string> reversed = protect_empty(words);
    std::reverse(reversed.begin(), reversed.end());
    try {
        app.parse(std::move(reversed));
    } catch (const CLI::ParseError& error) {
        return explain(spec, error);
    }
    if (help) {
        Parsed parsed;
        parsed.help = true;
        return parsed;
    }
    return collect(spec, app, slots);
}

}  // namespace raind::cli
