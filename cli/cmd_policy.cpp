// raind policy.
#include <cerrno>
#include <fmt/format.h>
#include <optional>
#include <unistd.h>

#include "raind/api/codec.h"

#include "cli/command_util.h"
#include "cli/policy_view.h"
#include "cli/text.h"
#include "userspace/common/json.h"

namespace raind::cli {

namespace {

// A commit goes over every flow once.
constexpr std::chrono::seconds kCommitPatience{120};

Outcome<PolicyKind> kind_option(const Parsed& parsed) {
    const std::string word = parsed.value("type");
    const auto kind = parse_policy_kind(word);
    if (!kind)
        return usage_error(
            fmt::format("invalid type: {}. allowed type: ew/ns-obs/ns-enf", terminal_safe(word)));
    return *kind;
}

Outcome<api::AddPolicyRequest> add_request(const Parsed& parsed) {
    RAIND_CHECK(no_arguments(parsed));
    RAIND_TRY(const PolicyKind kind, kind_option(parsed));
    api::AddPolicyRequest request;
    request.chain = chain_of(kind);
    request.source = parsed.value("source");
    request.dest = parsed.value("destination");
    request.protocol = parsed.value("protocol");
    request.comment = parsed.value("comment");
    const std::string& protocol = request.protocol;
    if (!protocol.empty() && protocol != "tcp" && protocol != "udp" && protocol != "icmp")
        return usage_error(fmt::format("invalid protocol: {}. allowed protocol: tcp/udp/icmp",
                                       terminal_safe(protocol)));
    RAIND_TRY(const int port, number_option(parsed, "dport", 0, 65535, 0));
    if (port != 0 && protocol != "tcp" && protocol != "udp")
        return usage_error(fmt::format("--dport {} needs a protocol with ports", port),
                           "add -p tcp or -p udp");
    request.dport = port;
    return request;
}

Outcome<int> run_add(Context& context, const Parsed& parsed) {
    RAIND_TRY(const api::AddPolicyRequest request, add_request(parsed));
    const std::string attempt = "add the policy";
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data,
              api->call({.method = "POST", .target = "/v1/policies", .attempt = attempt},
                        api::encode(request)));
    auto id = JsonReader(data, "data").string("id");
    if (!data.is_object() || !id)
        return not_understood(attempt, "no id in it");
    print_result(context, fmt::format("policy: {} created", terminal_safe(*id)), data);
    return kExitDone;
}

Outcome<api::PolicyList> fetch(Context& context, PolicyKind kind) {
    const std::string attempt = "list the policies";
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data, api->call({.target = fmt::format("/v1/policies/{}", chain_of(kind)),
                                          .attempt = attempt}));
    auto list = api::decode<api::PolicyList>(data);
    if (!list)
        return not_understood(attempt, list.error().message());
    return std::move(*list);
}

void print_list(Context& context, PolicyKind kind, const api::PolicyList& list) {
    if (!context.json()) {
        context.print(render_policies(kind, list));
        return;
    }
    for (const api::PolicyInfo& policy : list.policies) {
        Json line = api::encode(policy);
        line["chain"] = chain_of(kind);
        line["mode"] = list.mode;
        context.print_json(line);
    }
}

Outcome<int> run_policy_ls(Context& context, const Parsed& parsed) {
    RAIND_CHECK(no_arguments(parsed));
    std::optional<PolicyKind> only;
    if (parsed.has("type")) {
        RAIND_TRY(only, kind_option(parsed));
    }
    RAIND_TRY(const api::PolicyList first, fetch(context, only.value_or(PolicyKind::EastWest)));
    std::optional<api::PolicyList> second;
    PolicyKind second_kind = PolicyKind::Observe;
    if (!only) {
        RAIND_TRY(second, fetch(context, PolicyKind::Observe));
        if (mode_is_enforce(second->mode)) {
            second_kind = PolicyKind::Enforce;
            RAIND_TRY(second, fetch(context, PolicyKind::Enforce));
        }
    }
    if (!context.json())
        context.print(kPolicyLegend);
    print_list(context, only.value_or(PolicyKind::EastWest), first);
    if (second) {
        if (!context.json())
            context.print(kPolicySeparator);
        print_list(context, second_kind, *second);
    }
    return kExitDone;
}

enum class Answer { Yes, No, EndOfFile };

// One line of standard input and no byte more: what follows belongs to others.
Answer read_answer() {
    std::string line;
    char c = 0;
    while (line.size() < 64) {
        const ssize_t got = ::read(STDIN_FILENO, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return line.empty() ? Answer::EndOfFile : Answer::No;
        if (c == '\n')
            break;
        line += c;
    }
    for (const std::string_view yes : {"y", "Y", "yes", "Yes", "YES"}) {
        if (line == yes)
            return Answer::Yes;
    }
    return Answer::No;
}

Outcome<int> run_commit(Context& context, const Parsed& parsed) {
    RAIND_CHECK(no_arguments(parsed));
    if (!parsed.flag("yes")) {
        context.print(
            "This operation will affect the container network.\n"
            "Are you sure you want to commit? (y/n): ");
        RAIND_CHECK(context.flush());
        const Answer answer = read_answer();
        if (answer != Answer::Yes) {
            context.print_line("commit canceled");
            return answer == Answer::No ? kExitDone : kExitFailed;
        }
    }
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data, api->call({.method = "POST",
                                          .target = "/v1/policies/commit",
                                          .attempt = "commit the policies",
                                          .patience = kCommitPatience}));
    print_result(context, "policy commit success", data);
    return kExitDone;
}

Outcome<int> run_policy_rm(Context& context, const Parsed& parsed) {
    return for_each_argument(
        context, parsed, "policy-id required", [&](const std::string& id) -> Outcome<void> {
            RAIND_TRY(ApiClient* const api, context.api());
            RAIND_TRY(const Json data,
                      api->call({.method = "DELETE",
                                 .target = "/v1/policies/" + percent_encode(id),
                                 .attempt = fmt::format("remove policy {}", in_quotes(id))}));
            print_result(context, fmt::format("policy: {} remove", terminal_safe(id)), data);
            return {};
        });
}

Outcome<int> run_revert(Context& context, const Parsed& parsed) {
    RAIND_CHECK(no_arguments(parsed));
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data, api->call({.method = "POST",
                                          .target = "/v1/policies/revert",
                                          .attempt = "revert the policies"}));
    print_result(context, "policy revert success", data);
    return kExitDone;
}

Outcome<int> run_ns_mode(Context& context, const Parsed& parsed) {
    RAIND_TRY(const std::string mode, single_argument(parsed, "mode required: observe|enforce"));
    if (mode != "observe" && mode != "enforce")
        return usage_error(
            fmt::format("invalid mode: {}. expect: observe|enforce", terminal_safe(mode)));
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data, api->call({.method = "POST",
                                          .target = "/v1/policies/ns/mode",
                                          .attempt = "change the north-south mode"},
                                         Json{{"mode", mode}}));
    print_result(context, fmt::format("policy north-south mode changed: {}", mode), data);
    return kExitDone;
}

CommandSpec policy_spec(const std::string& verb, const std::string& purpose,
                        const std::string& usage, Outcome<int> (*run)(Context&, const Parsed&),
                        std::vector<std::string> examples) {
    CommandSpec spec;
    spec.group = "policy";
    spec.verb = verb;
    spec.purpose = purpose;
    spec.usage = usage;
    spec.examples = std::move(examples);
    for (const char* const other : {"add", "ls", "commit", "revert"}) {
        if (verb != other)
            spec.see_also.push_back(fmt::format("raind policy {}", other));
    }
    spec.see_also.push_back("raind logs netflow");
    spec.run = run;
    return spec;
}

CommandSpec add_spec() {
    CommandSpec spec = policy_spec(
        "add", "stage a rule for the next commit", "", run_add,
        {"raind policy add --type ew -s web -d db -p tcp --dport 5432 --comment 'orders db'",
         "raind policy add --type ns-enf -s web -d 203.0.113.7 -p tcp --dport 443"});
    spec.options = {
        {"--type", OptionKind::Value, "TYPE",
         "ew: allow between containers; ns-obs: deny to outside while observing; "
         "ns-enf: allow to outside while enforcing"},
        {"-s,--source", OptionKind::Value, "CONTAINER",
         "name or id of the container that opens the connection"},
        {"-d,--destination", OptionKind::Value, "PEER",
         "container for ew; address or prefix for ns-obs and ns-enf"},
        {"-p,--protocol", OptionKind::Value, "PROTO",
         "tcp, udp, or icmp for ICMP and ICMPv6 (default: every protocol)"},
        {"--dport", OptionKind::Value, "PORT",
         "destination port, with tcp or udp (default: every port)"},
        {"--comment", OptionKind::Value, "TEXT", "a note for people"},
    };
    spec.required = {"type", "source", "destination"};
    return spec;
}

}  // namespace

std::vector<CommandSpec> policy_commands() {
    std::vector<CommandSpec> commands = {add_spec()};
    commands.push_back(policy_spec("rm", "stage the removal of rules for the next commit",
                                   "POLICY-ID [POLICY-ID ...]", run_policy_rm,
                                   {"raind policy rm 01kx5b6g2h7j8k9m0n1p2q3r4s",
                                    "raind policy rm 01kx5b6g2h7j8k9m0n1p2q3r4s && raind policy "
                                    "commit --yes"}));
    CommandSpec list = policy_spec("ls", "list the rules, applied and staged, and the default", "",
                                   run_policy_ls, {"raind policy ls", "raind policy ls --type ew"});
    list.aliases = {"list"};
    list.options = {{"--type", OptionKind::Value, "TYPE", "only this list: ew, ns-obs or ns-enf"}};
    commands.push_back(std::move(list));
    CommandSpec commit =
        policy_spec("commit", "put what is staged into force, in one instant for all packets", "",
                    run_commit, {"raind policy commit", "raind policy commit --yes"});
    commit.options = {{"-y,--yes", OptionKind::Flag, "", "do not ask"}};
    commit.refused = {{"--confirm-within", OptionKind::Value, {}},
                      {"--expect", OptionKind::Value, {}}};
    commands.push_back(std::move(commit));
    commands.push_back(policy_spec("revert", "drop what was staged since the last commit", "",
                                   run_revert,
                                   {"raind policy revert", "raind policy revert --format json"}));
    commands.push_back(
        policy_spec("ns-mode", "stage whether traffic to outside needs a rule", "observe|enforce",
                    run_ns_mode, {"raind policy ns-mode enforce", "raind policy ns-mode observe"}));
    return commands;
}

}  // namespace raind::cli
