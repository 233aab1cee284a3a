// raind login, raind logout.
#include <fmt/format.h>

#include "raind/api/registry_codec.h"

#include "cli/command_util.h"
#include "cli/login_prompt.h"
#include "cli/text.h"
#include "userspace/common/json.h"

namespace raind::cli {

namespace {

// The registry and its token server are asked, with attempts and time limits of the daemon.
constexpr std::chrono::seconds kLoginPatience{300};
constexpr const char* kDefaultRegistry = "docker.io";

Outcome<std::string> registry_argument(const Parsed& parsed) {
    if (parsed.args.empty())
        return std::string(kDefaultRegistry);
    RAIND_TRY(std::string registry, single_argument(parsed, "registry required"));
    return registry;
}

Outcome<Secret> password_for(const Parsed& parsed) {
    if (parsed.has("password")) {
        std::fputs(
            "warning: a password on the command line is seen by every user of this host; "
            "use --password-stdin\n",
            stderr);
        return Secret(parsed.value("password"));
    }
    if (parsed.flag("password-stdin"))
        return read_secret();
    return ask_secret("Password: ");
}

Outcome<api::LoginRequest> login_request(const Parsed& parsed) {
    api::LoginRequest request;
    RAIND_TRY(request.registry, registry_argument(parsed));
    const bool from_input = parsed.flag("password-stdin");
    if (from_input && parsed.has("password"))
        return usage_error("--password and --password-stdin exclude each other");
    if (from_input && !parsed.has("username"))
        return usage_error("--password-stdin needs --username");
    const bool asks = !parsed.has("username") || (!from_input && !parsed.has("password"));
    if (asks && !input_is_terminal())
        return usage_error("there is no terminal to ask for user name and password",
                           "use --username with --password-stdin");
    request.username = parsed.value("username");
    if (!parsed.has("username")) {
        RAIND_TRY(request.username, ask_line("Username: "));
    }
    if (request.username.empty())
        return usage_error("the user name is empty");
    RAIND_TRY(request.password, password_for(parsed));
    if (request.password.empty())
        return usage_error("the password is empty");
    return request;
}

Outcome<int> run_login(Context& context, const Parsed& parsed) {
    RAIND_TRY(const api::LoginRequest request, login_request(parsed));
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data,
              api->call({.method = "POST",
                         .target = "/v1/registries",
                         .attempt = fmt::format("log in to {}", in_quotes(request.registry)),
                         .patience = kLoginPatience},
                        api::encode(request)));
    print_result(context, "Login Succeeded", data);
    return kExitDone;
}

Outcome<int> run_logout(Context& context, const Parsed& parsed) {
    RAIND_TRY(const std::string registry, registry_argument(parsed));
    const std::string attempt = fmt::format("log out of {}", in_quotes(registry));
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data,
              api->call({.method = "DELETE",
                         .target = fmt::format("/v1/registries/{}", percent_encode(registry)),
                         .attempt = attempt}));
    const auto done = api::decode<api::LogoutResult>(data);
    if (!done)
        return not_understood(attempt, done.error().message());
    print_result(
        context,
        fmt::format("{} {}", done->removed ? "Removing login credentials for" : "Not logged in to",
                    terminal_safe(done->registry)),
        data);
    return kExitDone;
}

}  // namespace

std::vector<CommandSpec> registry_commands() {
    CommandSpec login;
    login.verb = "login";
    login.purpose = "let the daemon pull from a registry under a user name";
    login.usage = "[REGISTRY]";
    login.options = {
        {"-u,--username", OptionKind::Value, "USER", "user name (else the terminal is asked)"},
        {"-p,--password", OptionKind::Value, "PASSWORD",
         "password, seen by every user of this host", true},
        {"--password-stdin", OptionKind::Flag, "", "take the password from standard input"}};
    login.examples = {"raind login registry.test:5000",
                      "raind login -u deploy --password-stdin registry.test:5000 <password.txt"};
    login.see_also = {"raind logout", "raind image pull"};
    login.run = run_login;
    CommandSpec logout;
    logout.verb = "logout";
    logout.purpose = "make the daemon forget user and password of a registry";
    logout.usage = "[REGISTRY]";
    logout.examples = {"raind logout registry.test:5000", "raind logout"};
    logout.see_also = {"raind login", "raind image pull"};
    logout.run = run_logout;
    return {std::move(login), std::move(logout)};
}

}  // namespace raind::cli
