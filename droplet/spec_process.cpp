// The process, mounts and hooks of config.json.
#include <algorithm>
#include <array>
#include <filesystem>

#include "droplet/spec_reader.h"

namespace raind::droplet {

namespace {

// Known to the specification, acted on by nothing here: refused, so that nobody relies on them.
constexpr std::array<std::string_view, 5> kProcessRefused{
    "scheduler", "ioPriority", "execCPUAffinity", "selinuxLabel", "consoleSize"};

// Single files below /proc that may be mounted over.
constexpr std::array<std::string_view, 11> kProcFiles{"/proc/cpuinfo",
                                                      "/proc/diskstats",
                                                      "/proc/meminfo",
                                                      "/proc/stat",
                                                      "/proc/swaps",
                                                      "/proc/uptime",
                                                      "/proc/loadavg",
                                                      "/proc/slabinfo",
                                                      "/proc/net/dev",
                                                      "/proc/sys/kernel/ns_last_pid",
                                                      "/proc/sys/crypto/fips_enabled"};

Result<std::uint64_t> read_capability_set(const JsonReader& reader, std::string_view key) {
    RAIND_TRY(const std::vector<std::string> names, reader.strings(key));
    std::uint64_t mask = 0;
    for (const std::string& name : names) {
        const auto number = capability_number(name);
        if (!number)
            return invalid(reader.path_of(key), "unknown capability \"" + name + "\"");
        mask |= 1ULL << *number;
    }
    return mask;
}

Result<CapabilitySets> read_capabilities(const JsonReader& reader) {
    RAIND_CHECK(reader.expect_object());
    CapabilitySets sets;
    RAIND_TRY(sets.bounding, read_capability_set(reader, "bounding"));
    RAIND_TRY(sets.effective, read_capability_set(reader, "effective"));
    RAIND_TRY(sets.inheritable, read_capability_set(reader, "inheritable"));
    RAIND_TRY(sets.permitted, read_capability_set(reader, "permitted"));
    RAIND_TRY(sets.ambient, read_capability_set(reader, "ambient"));
    if ((sets.effective & ~sets.permitted) != 0)
        return invalid(reader.path_of("effective"), "holds what permitted does not");
    return sets;
}

Result<Rlimit> read_rlimit(const JsonReader& reader, const std::string& path) {
    Rlimit limit;
    RAIND_TRY(limit.name, reader.string("type"));
    const auto number = rlimit_number(limit.name);
    if (!number)
        return invalid(path + ".type", "unknown limit \"" + limit.name + "\"");
    limit.resource = *number;
    RAIND_TRY(limit.soft, read_u64(reader, "soft"));
    RAIND_TRY(limit.hard, read_u64(reader, "hard"));
    if (limit.soft > limit.hard)
        return invalid(path, limit.name + ": soft is above hard");
    return limit;
}

Status read_rlimits(const JsonReader& reader, Process& process) {
    RAIND_TRY(process.rlimits, read_list<Rlimit>(reader, "rlimits", read_rlimit));
    for (std::size_t i = 0; i < process.rlimits.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (process.rlimits[i].resource == process.rlimits[j].resource)
                return invalid(reader.path_of("rlimits"),
                               process.rlimits[i].name + " is given twice");
    return {};
}

Result<User> read_user(const JsonReader& process) {
    User user;
    const Json* object = process.child("user");
    if (object == nullptr)
        return user;
    const JsonReader reader(*object, process.path_of("user"));
    RAIND_CHECK(reader.expect_object());
    RAIND_TRY(user.uid, read_u32(reader, "uid", 0));
    RAIND_TRY(user.gid, read_u32(reader, "gid", 0));
    if (reader.has("umask")) {
        RAIND_TRY(const std::int64_t umask, reader.integer("umask", 0, 0777));
        user.umask = static_cast<std::uint32_t>(umask);
    }
    if (reader.has("io.raind.lookup")) {
        RAIND_TRY(user.lookup, reader.string("io.raind.lookup"));
    }
    const Json* gids = reader.child("additionalGids");
    if (gids == nullptr)
        return user;
    const std::string path = reader.path_of("additionalGids");
    if (!gids->is_array())
        return invalid(path, "expected a list");
    for (const Json& gid : *gids) {
        if (!gid.is_number_unsigned() || gid.get<std::uint64_t>() > UINT32_MAX)
            return invalid(path, "expected a list of group ids");
        user.additional_gids.push_back(static_cast<std::uint32_t>(gid.get<std::uint64_t>()));
    }
    return user;
}

Status check_env(const std::vector<std::string>& env, const std::string& path) {
    for (const std::string& entry : env) {
        const auto equals = entry.find('=');
        if (equals == std::string::npos || equals == 0)
            return invalid(path, "\"" + entry + "\" is not NAME=VALUE");
    }
    return {};
}

// A later value replaces an earlier one of the same name, in its place.
std::vector<std::string> last_wins(std::vector<std::string> env) {
    std::vector<std::string> out;
    for (std::string& entry : env) {
        const std::string name = entry.substr(0, entry.find('=') + 1);
        const auto old = std::ranges::find_if(
            out, [&](const std::string& other) { return other.starts_with(name); });
        if (old == out.end())
            out.push_back(std::move(entry));
        else
            *old = std::move(entry);
    }
    return out;
}

Result<Mount> read_mount(const JsonReader& reader, const std::string& path) {
    Mount mount;
    RAIND_TRY(const std::string destination, read_absolute(reader, "destination"));
    mount.destination = std::filesystem::path(destination).lexically_normal().string();
    while (mount.destination.size() > 1 && mount.destination.ends_with('/'))
        mount.destination.pop_back();
    if (mount.destination == "/")
        return invalid(path + ".destination", "the root itself cannot be mounted over");
    RAIND_TRY(mount.type, reader.string("type", ""));
    RAIND_TRY(mount.source, reader.string("source", ""));
    RAIND_TRY(const std::vector<std::string> options, reader.strings("options"));
    auto parsed = parse_mount_options(options);
    if (!parsed)
        return std::move(parsed.error()).context(path + ".options");
    mount.options = std::move(*parsed);
    if (mount.type == "bind" || mount.type == "none" || mount.type.empty()) {
        if (mount.type == "bind" && !mount.options.bind && !mount.options.remount)
            mount.options.bind = true;
        if (!mount.options.bind && !mount.options.remount)
            return invalid(path + ".type", "missing (only a bind needs none)");
    }
    if (mount.options.bind && mount.source.empty())
        return invalid(path + ".source", "missing");
    RAIND_TRY(mount.uid_mappings, read_id_mappings(reader, "uidMappings"));
    RAIND_TRY(mount.gid_mappings, read_id_mappings(reader, "gidMappings"));
    if (mount.uid_mappings.empty() != mount.gid_mappings.empty())
        return invalid(path, "uidMappings and gidMappings go together");
    const bool in_proc = mount.destination == "/proc" || mount.destination.starts_with("/proc/");
    if (in_proc && !(mount.type == "proc" && mount.destination == "/proc") &&
        std::ranges::find(kProcFiles, mount.destination) == kProcFiles.end())
        return invalid(path + ".destination", "nothing may be mounted at " + mount.destination);
    return mount;
}

Result<Hook> read_hook(const JsonReader& reader, const std::string& path) {
    Hook hook;
    RAIND_TRY(hook.path, read_absolute(reader, "path"));
    RAIND_TRY(hook.args, reader.strings("args"));
    if (hook.args.empty())
        hook.args.push_back(hook.path);
    RAIND_TRY(hook.env, reader.strings("env"));
    RAIND_CHECK(check_env(hook.env, path + ".env"));
    if (reader.has("timeout")) {
        RAIND_TRY(const std::int64_t timeout, reader.integer("timeout", 1, 86400));
        hook.timeout_seconds = static_cast<int>(timeout);
    }
    return hook;
}

}  // namespace

Result<Process> read_process(const JsonReader& reader) {
    Process process;
    RAIND_TRY(const bool terminal, reader.boolean("terminal", false));
    if (terminal)
        return Error(Errc::Unsupported,
                     reader.path_of("terminal") + ": terminals are not supported yet");
    for (const std::string_view key : kProcessRefused)
        RAIND_CHECK(refuse_present(reader, key));
    RAIND_TRY(process.cwd, read_absolute(reader, "cwd"));
    RAIND_TRY(process.args, reader.strings("args"));
    if (process.args.empty() || process.args[0].empty())
        return invalid(reader.path_of("args"), "missing");
    RAIND_TRY(std::vector<std::string> env, reader.strings("env"));
    RAIND_CHECK(check_env(env, reader.path_of("env")));
    process.env = last_wins(std::move(env));
    RAIND_TRY(process.user, read_user(reader));
    if (const Json* sets = reader.child("capabilities")) {
        RAIND_TRY(process.capabilities,
                  read_capabilities(JsonReader(*sets, reader.path_of("capabilities"))));
    }
    RAIND_CHECK(read_rlimits(reader, process));
    RAIND_TRY(process.no_new_privileges, reader.boolean("noNewPrivileges", false));
    if (reader.has("oomScoreAdj")) {
        RAIND_TRY(const std::int64_t score, reader.integer("oomScoreAdj", -1000, 1000));
        process.oom_score_adj = static_cast<int>(score);
    }
    RAIND_TRY(process.apparmor_profile, reader.string("apparmorProfile", ""));
    return process;
}

Status read_mounts(const JsonReader& root, Spec& spec) {
    RAIND_TRY(spec.mounts, read_list<Mount>(root, "mounts", read_mount));
    return {};
}

Status read_hooks(const JsonReader& root, Spec& spec) {
    const Json* object = root.child("hooks");
    if (object == nullptr)
        return {};
    const JsonReader reader(*object, "hooks");
    RAIND_CHECK(reader.expect_object());
    RAIND_TRY(spec.hooks.prestart, read_list<Hook>(reader, "prestart", read_hook));
    RAIND_TRY(spec.hooks.create_runtime, read_list<Hook>(reader, "createRuntime", read_hook));
    RAIND_TRY(spec.hooks.create_container, read_list<Hook>(reader, "createContainer", read_hook));
    RAIND_TRY(spec.hooks.start_container, read_list<Hook>(reader, "startContainer", read_hook));
    RAIND_TRY(spec.hooks.poststart, read_list<Hook>(reader, "poststart", read_hook));
    RAIND_TRY(spec.hooks.poststop, read_list<Hook>(reader, "poststop", read_hook));
    return {};
}

}  // namespace raind::droplet
