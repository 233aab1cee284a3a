// The linux part of config.json, and the checks that need several parts at once.
#include <algorithm>
#include <array>
#include <sched.h>

#include "droplet/spec_reader.h"

namespace raind::droplet {

namespace {

constexpr std::array<std::pair<std::string_view, int>, 7> kNamespaces{{
    {"pid", CLONE_NEWPID},
    {"network", CLONE_NEWNET},
    {"mount", CLONE_NEWNS},
    {"ipc", CLONE_NEWIPC},
    {"uts", CLONE_NEWUTS},
    {"user", CLONE_NEWUSER},
    {"cgroup", CLONE_NEWCGROUP},
}};

constexpr std::array<std::string_view, 6> kRefused{"intelRdt",   "netDevices",   "timeOffsets",
                                                   "mountLabel", "memoryPolicy", "personality"};

Result<Namespace> read_namespace(const JsonReader& reader, const std::string& path) {
    Namespace out;
    RAIND_TRY(out.type, reader.string("type"));
    if (out.type == "time")
        return Error(Errc::Unsupported, path + ".type: time namespaces are not supported yet");
    const auto* known =
        std::ranges::find(kNamespaces, out.type, [](const auto& entry) { return entry.first; });
    if (known == kNamespaces.end())
        return invalid(path + ".type", "unknown namespace \"" + out.type + "\"");
    out.flag = known->second;
    RAIND_TRY(out.path, reader.string("path", ""));
    if (!out.path.empty() && out.path[0] != '/')
        return invalid(path + ".path", "\"" + out.path + "\" is not an absolute path");
    return out;
}

Result<Device> read_device(const JsonReader& reader, const std::string& path) {
    Device device;
    RAIND_TRY(device.path, read_absolute(reader, "path"));
    RAIND_TRY(const std::string type, reader.string("type"));
    if (type != "c" && type != "u" && type != "b" && type != "p")
        return invalid(path + ".type", "expected c, u, b or p");
    device.type = type == "u" ? 'c' : type[0];
    if (device.type != 'p') {
        RAIND_TRY(const std::int64_t major, reader.integer("major", 0, 4095));
        RAIND_TRY(const std::int64_t minor, reader.integer("minor", 0, 1048575));
        device.major = static_cast<unsigned>(major);
        device.minor = static_cast<unsigned>(minor);
    }
    RAIND_TRY(const std::int64_t mode, reader.integer("fileMode", 0, UINT32_MAX, 0666));
    device.mode = static_cast<std::uint32_t>(mode) & 07777U;
    RAIND_TRY(device.uid, read_u32(reader, "uid", 0));
    RAIND_TRY(device.gid, read_u32(reader, "gid", 0));
    return device;
}

Status read_paths(const JsonReader& reader, std::string_view key, std::vector<std::string>& out) {
    RAIND_TRY(out, reader.strings(key));
    for (const std::string& path : out)
        if (!path.starts_with('/'))
            return invalid(reader.path_of(key), "\"" + path + "\" is not an absolute path");
    return {};
}

Status check_namespaces(const Spec& spec) {
    for (std::size_t i = 0; i < spec.namespaces.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (spec.namespaces[i].type == spec.namespaces[j].type)
                return invalid("linux.namespaces", spec.namespaces[i].type + " is given twice");
    const Namespace* mount = spec.find_namespace("mount");
    if (mount == nullptr || !mount->path.empty())
        return Error(Errc::Unsupported,
                     "linux.namespaces: a new mount namespace is needed (others are not supported "
                     "yet)");
    if (!spec.hostname.empty() && !spec.has_namespace("uts"))
        return invalid("hostname", "needs a uts namespace");
    if (!spec.domainname.empty() && !spec.has_namespace("uts"))
        return invalid("domainname", "needs a uts namespace");
    return {};
}

Status check_user(const Spec& spec) {
    const Namespace* user = spec.find_namespace("user");
    const bool mapped = !spec.uid_mappings.empty() || !spec.gid_mappings.empty();
    if (user == nullptr)
        return mapped ? invalid("linux.uidMappings", "needs a user namespace") : Status{};
    if (user->path.empty() && (spec.uid_mappings.empty() || spec.gid_mappings.empty()))
        return invalid("linux.uidMappings", "a new user namespace needs both mappings");
    if (!map_id(spec.uid_mappings, 0) || !map_id(spec.gid_mappings, 0))
        return invalid("linux.uidMappings", "id 0 must be mapped");
    if (!spec.process)
        return {};
    const User& ids = spec.process->user;
    if (!map_id(spec.uid_mappings, ids.uid))
        return invalid("process.user.uid", std::to_string(ids.uid) + " is not mapped");
    if (!map_id(spec.gid_mappings, ids.gid))
        return invalid("process.user.gid", std::to_string(ids.gid) + " is not mapped");
    for (const std::uint32_t gid : ids.additional_gids)
        if (!map_id(spec.gid_mappings, gid))
            return invalid("process.user.additionalGids", std::to_string(gid) + " is not mapped");
    return {};
}

// The namespace a sysctl belongs to; empty: it is the host's.
std::string_view sysctl_namespace(std::string_view name) {
    if (name.starts_with("net/"))
        return "network";
    if (name.starts_with("fs/mqueue/") || name.starts_with("kernel/msg") ||
        name.starts_with("kernel/shm") || name == "kernel/sem")
        return "ipc";
    if (name == "kernel/domainname" || name == "kernel/hostname")
        return "uts";
    return {};
}

Status check_sysctl(const Spec& spec, const std::string& name) {
    const std::string path = "linux.sysctl." + name;
    if (name.empty() || name.front() == '/' || name.back() == '/' ||
        name.find("//") != std::string::npos ||
        ("/" + name + "/").find("/../") != std::string::npos)
        return invalid(path, "not a name of a setting");
    const std::string_view needed = sysctl_namespace(name);
    if (needed.empty())
        return invalid(path, "belongs to the host, not to a namespace");
    if (!spec.has_namespace(needed))
        return invalid(path, "needs a private " + std::string(needed) + " namespace");
    if (name == "kernel/hostname" && !spec.hostname.empty())
        return invalid(path, "contradicts hostname");
    if (name == "kernel/domainname" && !spec.domainname.empty())
        return invalid(path, "contradicts domainname");
    return {};
}

// Both spellings become the path below /proc/sys. As sysctl(8) has it, the first separator
// decides which of the two is meant; the other character is then part of a name.
std::string sysctl_path(std::string name) {
    const auto first = name.find_first_of("./");
    if (first == std::string::npos || name[first] == '/')
        return name;
    for (char& c : name)
        c = c == '.' ? '/' : c == '/' ? '.' : c;
    return name;
}

}  // namespace

Status read_linux(const JsonReader& reader, Spec& spec) {
    for (const std::string_view key : kRefused)
        RAIND_CHECK(refuse_present(reader, key));
    RAIND_TRY(spec.namespaces, read_list<Namespace>(reader, "namespaces", read_namespace));
    RAIND_TRY(spec.uid_mappings, read_id_mappings(reader, "uidMappings"));
    RAIND_TRY(spec.gid_mappings, read_id_mappings(reader, "gidMappings"));
    RAIND_TRY(spec.devices, read_list<Device>(reader, "devices", read_device));
    RAIND_TRY(spec.cgroups_path, reader.string("cgroupsPath", ""));
    RAIND_TRY(const auto sysctl, read_string_map(reader, "sysctl"));
    for (const auto& [name, value] : sysctl)
        spec.sysctl[sysctl_path(name)] = value;
    if (const Json* resources = reader.child("resources"))
        RAIND_CHECK(read_resources(JsonReader(*resources, reader.path_of("resources")), spec));
    if (const Json* seccomp = reader.child("seccomp")) {
        RAIND_TRY(spec.seccomp, read_seccomp(JsonReader(*seccomp, reader.path_of("seccomp"))));
    }
    RAIND_CHECK(read_paths(reader, "maskedPaths", spec.masked_paths));
    RAIND_CHECK(read_paths(reader, "readonlyPaths", spec.readonly_paths));
    RAIND_TRY(const std::string propagation, reader.string("rootfsPropagation", ""));
    auto parsed = parse_propagation(propagation.empty() ? "rslave" : propagation);
    if (!parsed)
        return std::move(parsed.error()).context("linux.rootfsPropagation");
    spec.root_propagation = parsed->flag;
    spec.root_propagation_recursive = parsed->recursive;
    return {};
}

Status check_spec(const Spec& spec) {
    RAIND_CHECK(check_namespaces(spec));
    RAIND_CHECK(check_user(spec));
    for (const auto& [name, value] : spec.sysctl)
        RAIND_CHECK(check_sysctl(spec, name));
    for (std::size_t i = 0; i < spec.mounts.size(); ++i)
        if (spec.mounts[i].options.idmap && spec.mounts[i].uid_mappings.empty() &&
            spec.uid_mappings.empty())
            return invalid("mounts[" + std::to_string(i) + "].options",
                           "idmap needs mappings, its own or those of the container");
    for (std::size_t i = 0; i < spec.mounts.size(); ++i)
        if (spec.mounts[i].options.fill && !spec.mounts[i].options.bind)
            return invalid("mounts[" + std::to_string(i) + "].options",
                           "x-raind.fill is for binds");
    return {};
}

}  // namespace raind::droplet
