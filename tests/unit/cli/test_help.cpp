#include <doctest/doctest.h>

#include "cli/help.h"

using namespace raind::cli;  // NOLINT: one module under test

namespace {

std::vector<CommandSpec> all() {
    std::vector<CommandSpec> out;
    for (auto* const make : {&container_commands, &image_commands, &policy_commands, &logs_commands,
                             &system_commands, &registry_commands}) {
        for (CommandSpec& spec : make())
            out.push_back(std::move(spec));
    }
    return out;
}

bool exists(const std::string& command) {
    for (const CommandSpec& spec : all()) {
        if (command == command_name(spec))
            return true;
    }
    return false;
}

}  // namespace

TEST_CASE("every command has what a help page needs") {
    CHECK(all().size() == 23);
    for (const CommandSpec& spec : all()) {
        CAPTURE(spec.verb);
        CHECK_FALSE(spec.purpose.empty());
        CHECK(spec.examples.size() >= 2);
        CHECK(spec.see_also.size() >= 2);
        CHECK(static_cast<bool>(spec.run));
        for (const std::string& other : spec.see_also)
            CHECK(exists(other));
        const std::string page = help_page(spec);
        for (const char* const part :
             {"Usage:\n", "Options of every command:\n", "Examples:\n", "See also:\n", "--help"})
            CHECK(page.find(part) != std::string::npos);
        for (const OptionSpec& option : spec.options) {
            CHECK_FALSE(option.help.empty());
            CHECK((option.kind == OptionKind::Flag) == option.metavar.empty());
            for (const std::string& name : split_names(option.names))
                CHECK(page.find(name) != std::string::npos);
        }
        for (const RefusedOption& option : spec.refused)
            CHECK(page.find("  " + option.names + " ") == std::string::npos);
    }
}

TEST_CASE("group pages and the main page list everything") {
    const std::string main = main_page(all());
    for (const CommandSpec& spec : all()) {
        const std::string shown = spec.group.empty() ? spec.verb : spec.group;
        CHECK(main.find("\n  " + shown + " ") != std::string::npos);
        if (spec.group.empty())
            continue;
        CHECK(group_page(spec.group, all()).find("\n  " + spec.verb + " ") != std::string::npos);
    }
}
