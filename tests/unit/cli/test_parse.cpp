#include <algorithm>
#include <cstdlib>
#include <doctest/doctest.h>

#include "cli/command.h"
#include "cli/container_options.h"

using namespace raind::cli;  // NOLINT: one module under test

namespace {

using Words = std::vector<std::string>;

std::vector<CommandSpec> all() {
    std::vector<CommandSpec> out;
    for (auto* const make :
         {&container_commands, &image_commands, &volume_commands, &policy_commands, &logs_commands,
          &system_commands, &registry_commands}) {
        for (CommandSpec& spec : make())
            out.push_back(std::move(spec));
    }
    return out;
}

CommandSpec find(const std::string& group, const std::string& verb) {
    for (CommandSpec& spec : all()) {
        if (spec.group == group && spec.verb == verb)
            return spec;
    }
    FAIL("no such command");
    return {};
}

std::string bare(const std::string& name) {
    return name.substr(name.find_first_not_of('-'));
}

std::string error_of(const CommandSpec& spec, const Words& words) {
    const auto parsed = parse_command(spec, words);
    if (parsed)
        return "";
    CHECK(parsed.error().exit_code == kExitUsage);
    return parsed.error().message;
}

}  // namespace

TEST_CASE("every option of every command, in every spelling") {
    for (const CommandSpec& spec : all()) {
        CAPTURE(spec.verb);
        std::vector<OptionSpec> options = spec.options;
        options.insert(options.end(), global_options().begin(), global_options().end());
        for (const OptionSpec& option : options) {
            for (const std::string& name : split_names(option.names)) {
                CAPTURE(name);
                const bool is_long = name.starts_with("--");
                std::vector<Words> spellings;
                if (option.kind == OptionKind::Flag) {
                    spellings = {{name}};
                } else {
                    spellings = {{name, "a,b=c"}};
                    spellings.push_back({is_long ? name + "=a,b=c" : name + "a,b=c"});
                }
                for (Words words : spellings) {
                    words.push_back("word");
                    const auto parsed = parse_command(spec, words);
                    REQUIRE(parsed.has_value());
                    CHECK(parsed->args == Words{"word"});
                    for (const std::string& other : split_names(option.names)) {
                        CHECK(parsed->has(bare(other)));
                        CHECK(parsed->value(bare(other)) ==
                              (option.kind == OptionKind::Flag ? "true" : "a,b=c"));
                    }
                }
            }
        }
    }
}

TEST_CASE("every option that is not there yet is refused by its names") {
    std::size_t count = 0;
    for (const CommandSpec& spec : all()) {
        for (const RefusedOption& option : spec.refused) {
            for (const std::string& name : split_names(option.names)) {
                CAPTURE(spec.verb);
                CAPTURE(name);
                Words words = {name};
                if (option.kind != OptionKind::Flag)
                    words.push_back("value");
                words.push_back("word");
                const std::string error = error_of(spec, words);
                CHECK(error.find(name) != std::string::npos);
                CHECK(error.find("is not available in this version") != std::string::npos);
                ++count;
            }
        }
    }
    CHECK(count > 60);
}

TEST_CASE("repeated options are separate values and do not swallow the image") {
    const CommandSpec run = find("container", "run");
    const auto parsed = parse_command(run, {"-e", "A=1,2", "-eB=3", "--env=C=", "alpine", "env"});
    REQUIRE(parsed.has_value());
    CHECK(parsed->values("environment") == Words{"A=1,2", "B=3", "C="});
    CHECK(parsed->args == Words{"alpine", "env"});
}

TEST_CASE("the words behind the image belong to the command") {
    const CommandSpec run = find("container", "run");
    const Words command = {"img", "sh", "-c", "x", "--name", "y", "--", "--env=", "-p", "80:80"};
    Words words = {"--rm"};
    words.insert(words.end(), command.begin(), command.end());
    const auto parsed = parse_command(run, words);
    REQUIRE(parsed.has_value());
    CHECK(parsed->args == command);
    CHECK(parsed->flag("rm"));
    CHECK_FALSE(parsed->has("name"));
    const auto marked = parse_command(run, {"--", "img", "-x"});
    REQUIRE(marked.has_value());
    CHECK(marked->args == Words{"img", "-x"});
}

TEST_CASE("the last value counts; empty values and false flags are what they say") {
    const CommandSpec run = find("container", "run");
    CHECK(parse_command(run, {"--name", "a", "--name=b", "i"})->value("name") == "b");
    const auto empty = parse_command(run, {"--label=", "img"});
    REQUIRE(empty.has_value());
    CHECK(empty->values("label") == Words{""});
    CHECK(empty->args == Words{"img"});
    CHECK_FALSE(parse_command(run, {"--rm=false", "img"})->flag("rm"));
    CHECK(parse_command(run, {"--entrypoint", "-x", "img"})->value("entrypoint") == "-x");
}

TEST_CASE("unknown options, missing values") {
    const CommandSpec run = find("container", "run");
    const CommandSpec list = find("container", "ls");
    CHECK(error_of(run, {"--nme=x", "img"}) == "unknown option --nme");
    CHECK(error_of(run, {"-x", "img"}) == "unknown option -x");
    CHECK(error_of(run, {"-dx", "img"}).find("unknown option") != std::string::npos);
    CHECK(error_of(list, {"web", "--nope"}) == "unknown option --nope");
    CHECK(error_of(list, {"\x1b[1m", "--a\x1b"}) == "unknown option --a\\x1b");
    CHECK(error_of(run, {"--name"}) == "option --name needs a value");
    CHECK(parse_command(list, {"--", "--nope"})->args == Words{"--nope"});
    CHECK(parse_command(run, {"--name", "x", "-h"})->help);
    CHECK_FALSE(parse_command(run, {"img", "-h"})->help);
    CHECK(parse_command(run, {"--nam", "x", "img"}).error().hint == "did you mean --name?");
}

TEST_CASE("what a create request refuses") {
    const CommandSpec create = find("container", "create");
    const auto message = [&create](const Words& words) {
        const auto parsed = parse_command(create, words);
        REQUIRE(parsed.has_value());
        const auto request = create_request(*parsed, "create container");
        return request ? std::string() : request.error().message;
    };
    CHECK(message({"img"}).empty());
    CHECK(message({}) == "cannot create container: empty repository");
    CHECK(message({""}) == "cannot create container: empty repository");
    CHECK(message({"--network", "br\x1b", "img"}) ==
          "option --network br\\x1b is not available in this version");
    CHECK(message({"--network=raind0", "img"}).empty());
    CHECK(message({"-e", "=x", "img"}) ==
          "invalid -e,--env format: =x, required format: KEY=VALUE");
    CHECK(message({"-l", "=x", "img"}) ==
          "invalid -l,--label format: =x, required format: KEY=VALUE");
}

TEST_CASE("no option that takes one value takes an empty one") {
    std::size_t count = 0;
    for (const CommandSpec& spec : all()) {
        std::vector<OptionSpec> options = spec.options;
        options.insert(options.end(), global_options().begin(), global_options().end());
        for (const OptionSpec& option : options) {
            if (option.kind != OptionKind::Value)
                continue;
            for (const std::string& name : split_names(option.names)) {
                CAPTURE(spec.verb);
                CAPTURE(name);
                const std::string error = error_of(spec, {name, "", "word"});
                CHECK(error.starts_with("--"));
                CHECK(error.ends_with(" is empty"));
                if (name.starts_with("--"))
                    CHECK(error_of(spec, {name + "=", "word"}) == error);
                ++count;
            }
        }
    }
    CHECK(count > 60);
    CHECK(error_of(find("image", "pull"), {"--os", "", "img"}) == "--os is empty");
    CHECK(error_of(find("container", "logs"), {"-n", "", "web"}) == "--line is empty");
}

TEST_CASE("bytes that are not UTF-8 are refused and the message names where") {
    std::size_t count = 0;
    for (const CommandSpec& spec : all()) {
        CAPTURE(spec.verb);
        CHECK(error_of(spec, {"w\xffz"}) == "argument \"w\\xffz\" is not UTF-8");
        for (const OptionSpec& option : spec.options) {
            if (option.kind == OptionKind::Flag)
                continue;
            for (const std::string& name : split_names(option.names)) {
                CAPTURE(name);
                const std::string error = error_of(spec, {name, "a=\xff", "word"});
                CHECK(error.starts_with("--"));
                CHECK(
                    error.ends_with(option.secret ? " is not UTF-8" : " \"a=\\xff\" is not UTF-8"));
                CHECK((error.find("a=") == std::string::npos) == option.secret);
                ++count;
            }
        }
    }
    CHECK(count > 40);
    CHECK(error_of(find("", "login"), {"-p", "hidden\xff"}) == "--password is not UTF-8");
    const CommandSpec exec = find("container", "exec");
    CHECK(error_of(exec, {"web", "echo", "a\xffz"}) == "argument \"a\\xffz\" is not UTF-8");
    CHECK(error_of(exec, {"-e", "X=\xc3", "web", "env"}) == "--env \"X=\\xc3\" is not UTF-8");
    CHECK(parse_command(exec, {"-e", "X=\u00e4", "web", "\u20ac", "\ufffd"}).has_value());
    // The value of a name alone comes from here, not from the command line.
    setenv("RAIND_TEST_BYTES", "\xfe", 1);
    const auto parsed = parse_command(exec, {"-e", "RAIND_TEST_BYTES", "web", "env"});
    REQUIRE(parsed.has_value());
    const auto environment = environment_of(*parsed);
    REQUIRE_FALSE(environment.has_value());
    CHECK(environment.error().exit_code == kExitUsage);
    CHECK(environment.error().message.ends_with("is not UTF-8"));
    unsetenv("RAIND_TEST_BYTES");
}

TEST_CASE("a flag takes true, false or nothing") {
    const CommandSpec run = find("container", "run");
    CHECK(error_of(run, {"--read-only=maybe", "img"}) ==
          "option --read-only takes no value but true or false, not \"maybe\"");
    CHECK(error_of(run, {"--read-only=a = b", "img"}) ==
          "option --read-only takes no value but true or false, not \"a = b\"");
    CHECK(error_of(run, {"--rm=\x1b[1m", "img"}).find('\x1b') == std::string::npos);
    CHECK(parse_command(run, {"--read-only=true", "img"})->flag("read-only"));
}
