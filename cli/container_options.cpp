#include "cli/container_options.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <iterator>

#include "cli/command_util.h"
#include "cli/limit_options.h"
#include "cli/mount_options.h"
#include "cli/text.h"
#include "userspace/common/port_mapping.h"
#include "userspace/common/text.h"

namespace raind::cli {

std::vector<OptionSpec> create_options() {
    std::vector<OptionSpec> options = {
        {"--name", OptionKind::Value, "NAME", "name of the container (else one is made up)"},
        {"-e,--env,--environment", OptionKind::List, "KEY=VALUE",
         "environment variable; KEY alone takes the value from this shell"},
        {"-u,--user", OptionKind::Value, "USER[:GROUP]",
         "names of the image or numbers (else the image's user, else root)"},
        {"-w,--workdir", OptionKind::Value, "DIR", "working directory of the command"},
        {"--entrypoint", OptionKind::Value, "PROGRAM", "program instead of the image's entrypoint"},
        {"--hostname", OptionKind::Value, "NAME", "host name inside (else the container's id)"},
        {"-v,--volume", OptionKind::List, "SOURCE:PATH[:ro]",
         "mount a folder or file of the host (/...) or a named volume at PATH"},
        {"-l,--label", OptionKind::List, "KEY=VALUE", "label of the container"},
        {"-p,--publish", OptionKind::List, "[ADDR:]HOST:CONTAINER[/PROTO]",
         "make a port reachable by a port of the host (tcp or udp)"},
        {"--read-only", OptionKind::Flag, "", "mount the root file system read-only"},
        {"--cap-add", OptionKind::List, "CAP", "add a capability, or ALL"},
        {"--cap-drop", OptionKind::List, "CAP", "drop a capability, or ALL"},
        {"--network", OptionKind::Value, "NAME",
         "bridge to attach to: raind0, which is the default"},
    };
    std::ranges::copy(limit_options(), std::back_inserter(options));
    return options;
}

std::vector<RefusedOption> refused_create_options() {
    return {
        {"-t,--tty", OptionKind::Flag, "use raind container exec for commands without a terminal"},
        {"-i,--interactive", OptionKind::Flag, "raind container exec streams standard input"},
        {"-P,--publish-all", OptionKind::Flag, "name each port: -p HOST:CONTAINER"},
        {"--mount", OptionKind::List, "use -v SOURCE:PATH[:ro]"},
        {"--tmpfs", OptionKind::List, {}},
        {"--restart", OptionKind::Value, "start it again with raind container start"},
        {"--security-opt", OptionKind::List, "seccomp, no_new_privs and id mapping are always on"},
        {"--userns", OptionKind::Value, "every container has a user namespace of its own"},
        {"--privileged", OptionKind::Flag, "add single capabilities with --cap-add"},
        {"--pid", OptionKind::Value, "every container has namespaces of its own"},
        {"--ipc", OptionKind::Value, "every container has namespaces of its own"},
        {"--uts", OptionKind::Value, "every container has namespaces of its own"},
        {"--dns", OptionKind::List, "resolv.conf names the host's name servers"},
        {"--device", OptionKind::List, "containers have the standard devices only"},
        {"--env-file", OptionKind::List, "use -e KEY=VALUE"},
        {"--init", OptionKind::Flag, {}},
        {"--pull", OptionKind::Value, "pull it before: raind image pull IMAGE"},
        {"--platform", OptionKind::Value, "raind image pull takes --os and --arch"},
        {"--ulimit", OptionKind::List, {}},
        {"--sysctl", OptionKind::List, {}},
    };
}

Outcome<std::vector<std::string>> environment_of(const Parsed& parsed) {
    std::vector<std::string> out;
    for (const std::string& entry : parsed.values("env")) {
        const std::size_t equals = entry.find('=');
        if (entry.empty() || equals == 0)
            return usage_error(fmt::format(
                "invalid -e,--env format: {}, required format: KEY=VALUE", terminal_safe(entry)));
        if (equals != std::string::npos) {
            out.push_back(entry);
            continue;
        }
        const char* const value = std::getenv(entry.c_str());
        if (value != nullptr && valid_utf8(value) != value)
            return usage_error(
                fmt::format("--env {}: the value of this shell, \"{}\", is not UTF-8",
                            terminal_safe(entry), terminal_safe(value)),
                "names and values are text; other bytes cannot be sent");
        if (value != nullptr)
            out.push_back(fmt::format("{}={}", entry, value));
    }
    return out;
}

Outcome<std::map<std::string, std::string>> labels_of(const Parsed& parsed) {
    std::map<std::string, std::string> out;
    for (const std::string& entry : parsed.values("label")) {
        const std::size_t equals = entry.find('=');
        if (entry.empty() || equals == 0)
            return usage_error(fmt::format(
                "invalid -l,--label format: {}, required format: KEY=VALUE", terminal_safe(entry)));
        out[entry.substr(0, equals)] =
            equals == std::string::npos ? std::string() : entry.substr(equals + 1);
    }
    return out;
}

namespace {

// Refused here already, before an image is pulled.
Outcome<std::vector<std::string>> ports_of(const Parsed& parsed) {
    std::vector<std::string> out;
    for (const std::string& entry : parsed.values("publish")) {
        if (auto port = PortMapping::parse(entry); !port)
            return usage_error(port.error().message());
        out.push_back(entry);
    }
    return out;
}

}  // namespace

Outcome<api::CreateContainerRequest> create_request(const Parsed& parsed,
                                                    const std::string& attempt) {
    if (parsed.args.empty() || parsed.args[0].empty())
        return usage_error(fmt::format("cannot {}: empty repository", attempt),
                           "name an image, for example busybox:1.36");
    const std::string network = parsed.value("network", "raind0");
    if (network != "raind0")
        return usage_error(fmt::format("option --network {} is not available in this version",
                                       terminal_safe(network)),
                           "the network is raind0");
    api::CreateContainerRequest request;
    request.image = parsed.args[0];
    request.command.assign(parsed.args.begin() + 1, parsed.args.end());
    RAIND_TRY(request.env, environment_of(parsed));
    RAIND_TRY(request.labels, labels_of(parsed));
    RAIND_TRY(request.port, ports_of(parsed));
    RAIND_TRY(request.mount, mounts_of(parsed));
    request.network = network;
    request.name = parsed.value("name");
    if (parsed.has("entrypoint"))
        request.entrypoint = {parsed.value("entrypoint")};
    request.user = parsed.value("user");
    request.working_dir = parsed.value("workdir");
    request.hostname = parsed.value("hostname");
    RAIND_CHECK(read_limits(parsed, request));
    request.read_only = parsed.flag("read-only");
    request.cap_add = parsed.values("cap-add");
    request.cap_drop = parsed.values("cap-drop");
    return request;
}

}  // namespace raind::cli
