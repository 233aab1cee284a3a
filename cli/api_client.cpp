#include "cli/api_client.h"

#include <array>
#include <fmt/format.h>

#include "cli/text.h"
#include "userspace/common/json.h"

namespace raind::cli {

namespace {

constexpr std::size_t kMaxAnswer = 16UL << 20U;

std::string string_field(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string details_of(const Json& envelope) {
    std::string out;
    const auto details = envelope.find("details");
    if (details == envelope.end() || !details->is_array())
        return out;
    for (const Json& entry : *details) {
        if (entry.is_object())
            out += fmt::format("; {}: {}", string_field(entry, "field"),
                               string_field(entry, "reason"));
    }
    return out;
}

std::string hint_for(const std::string& message) {
    if (message.starts_with("container: ") && message.ends_with("not found"))
        return "raind container ls shows the containers";
    if (message.starts_with("ID: ") && message.ends_with("not found"))
        return "raind policy ls shows the policies";
    if (message.find("already used by other container") != std::string::npos)
        return "choose another --name, or remove the other container: raind container rm NAME";
    if (message.find("is already published by") != std::string::npos)
        return "choose another port, or remove the other container: raind container rm NAME";
    if (message.find("in use by a process of the host") != std::string::npos)
        return "choose another port, or end that process";
    if (message.find("not allowed to current container status: running") != std::string::npos)
        return "stop it first: raind container stop NAME";
    if (message.find("already started") != std::string::npos)
        return "raind container ls shows its state";
    return {};
}

// The plain texts by which the listener refuses a certificate whose identity it does not serve.
bool identity_refused(const HttpAnswer& answer) {
    return (answer.status == 401 || answer.status == 403) && !answer.body.starts_with('{');
}

// Why a command could not be begun has exit codes of its own. The runtime's texts for that start
// with `exec: "NAME": `; a code of the answer says the same.
int exit_for(const std::string& code, const std::string& message) {
    const auto says = [&message](std::string_view text) {
        return message.find(text) != std::string::npos;
    };
    const bool launch = says("exec: \"");
    if (code == "command_not_found" ||
        (launch && (says("executable file not found") || says("o such file or directory"))))
        return kExitCommandNotFound;
    if (code == "command_not_executable" ||
        (launch && (says("ermission denied") || says("xec format error"))))
        return kExitCannotInvoke;
    return kExitFailed;
}

}  // namespace

std::string strip_prefixes(std::string message) {
    constexpr std::array<std::string_view, 11> kPrefixes = {
        "service failed: ", "pull failed: ",   "remove failed: ",
        "tail failed: ",    "invalid json: ",  "retrieve container list failed: ",
        "create failed: ",  "delete failed: ", "log path: ",
        "login failed: ",   "logout failed: "};
    bool again = true;
    while (again) {
        again = false;
        for (const std::string_view prefix : kPrefixes) {
            if (message.starts_with(prefix)) {
                message.erase(0, prefix.size());
                again = true;
            }
        }
    }
    return message;
}

CliError not_understood(const std::string& attempt, const std::string& why) {
    return failure(fmt::format("cannot {}: the daemon's answer is not understood: {}",
                               terminal_safe(attempt), terminal_safe(why)),
                   "daemon and command line may be of different versions");
}

CliError answer_error(const HttpAnswer& answer, const std::string& attempt) {
    const std::string what = terminal_safe(attempt);
    if (identity_refused(answer)) {
        CliError error = cannot_connect(
            fmt::format("the daemon refused the certificate: its identity may not use this API "
                        "(status {})",
                        answer.status),
            "use the client certificate raindClient.crt of this instance");
        error.request_id = terminal_safe(answer.request_id);
        return error;
    }
    auto envelope = parse_json(answer.body, {.bytes = kMaxAnswer});
    if (!envelope || !envelope->is_object()) {
        const std::string text = terminal_safe(first_chars(answer.body, 200));
        CliError error = failure(fmt::format("cannot {}: status {}: {}", what, answer.status,
                                             text.empty() ? "no explanation" : text));
        if (answer.status == 404 || answer.status == 405)
            error.hint = "this daemon does not know the request; its version may be another one";
        return error;
    }
    const std::string message = strip_prefixes(string_field(*envelope, "message"));
    CliError error = failure(fmt::format("cannot {}: {}{}", what,
                                         message.empty() ? fmt::format("status {}", answer.status)
                                                         : terminal_safe_lines(message),
                                         terminal_safe(details_of(*envelope))),
                             hint_for(message));
    error.exit_code = exit_for(string_field(*envelope, "code"), message);
    const std::string id = string_field(*envelope, "request_id");
    error.request_id = terminal_safe(id.empty() ? answer.request_id : id);
    return error;
}

Outcome<HttpAnswer> ApiClient::exchange(const ApiCall& call, std::string body,
                                        std::function<bool(std::string_view)> sink) {
    RAIND_TRY(HttpAnswer answer, http_.send(HttpRequest{.method = call.method,
                                                        .target = call.target,
                                                        .body = std::move(body),
                                                        .patience = call.patience,
                                                        .on_chunk = std::move(sink)}));
    if (answer.status < 200 || answer.status >= 300)
        return answer_error(answer, call.attempt);
    return answer;
}

Outcome<nlohmann::json> ApiClient::call(const ApiCall& call) {
    return this->call(call, Json());
}

Outcome<nlohmann::json> ApiClient::call(const ApiCall& call, const nlohmann::json& body) {
    RAIND_TRY(const HttpAnswer answer,
              exchange(call, body.is_null() ? std::string() : dump_json(body), nullptr));
    auto envelope = parse_json(answer.body, {.bytes = kMaxAnswer});
    if (!envelope)
        return not_understood(call.attempt, envelope.error().message());
    if (!envelope->is_object() || string_field(*envelope, "status") != "success")
        return not_understood(call.attempt, "no status \"success\" in it");
    const auto data = envelope->find("data");
    return data == envelope->end() ? Json() : std::move(*data);
}

Outcome<std::string> ApiClient::text(const ApiCall& call) {
    RAIND_TRY(HttpAnswer answer, exchange(call, {}, nullptr));
    return std::move(answer.body);
}

Outcome<void> ApiClient::stream(const ApiCall& call,
                                const std::function<bool(std::string_view)>& sink) {
    RAIND_TRY(const HttpAnswer answer, exchange(call, {}, sink));
    return {};
}

}  // namespace raind::cli
