#include "userspace/runtime/bundle.h"

#include <algorithm>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "userspace/common/crypto.h"
#include "userspace/common/json.h"
#include "userspace/common/text.h"
#include "userspace/runtime/capabilities.h"
#include "userspace/runtime/limits.h"
#include "userspace/runtime/process_options.h"
#include "userspace/runtime/seccomp_profile.h"

namespace raind::runtime {
namespace {

constexpr const char* kDefaultPath =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

constexpr std::uint64_t kOpenFilesSoft = 1024;

Json mount(const char* destination, const char* type, const std::string& source, Json options) {
    return Json{{"destination", destination},
                {"type", type},
                {"source", source},
                {"options", std::move(options)}};
}

Json user_mount(const BundleMount& wanted) {
    Json options =
        Json::array({wanted.recursive ? "rbind" : "bind", "rprivate", "rnosuid", "rnodev",
                     wanted.recursive ? "ridmap" : "idmap", "x-raind.nolinks"});
    if (wanted.read_only)
        options.push_back("rro");
    if (wanted.fill)
        options.push_back("x-raind.fill");
    return mount(wanted.target.c_str(), "bind", wanted.source, std::move(options));
}

Json make_mounts(const BundleSpec& spec) {
    const auto etc = [&](const char* name) { return (spec.directory / "etc" / name).string(); };
    const Json bind = Json::array({"bind", "nosuid", "nodev", "noexec"});
    Json mounts = Json::array({
        mount("/proc", "proc", "proc", Json::array({"nosuid", "noexec", "nodev"})),
        mount("/dev", "tmpfs", "tmpfs",
              Json::array({"nosuid", "strictatime", "mode=755", "size=65536k"})),
        mount("/dev/pts", "devpts", "devpts",
              Json::array(
                  {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"})),
        mount("/sys", "sysfs", "sysfs", Json::array({"nosuid", "noexec", "nodev", "ro"})),
        mount("/sys/fs/cgroup", "cgroup2", "cgroup",
              Json::array({"nosuid", "noexec", "nodev", "ro"})),
        mount("/dev/mqueue", "mqueue", "mqueue", Json::array({"nosuid", "noexec", "nodev"})),
        mount("/dev/shm", "tmpfs", "shm",
              Json::array({"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"})),
        mount("/etc/resolv.conf", "bind", etc("resolv.conf"), bind),
        mount("/etc/hostname", "bind", etc("hostname"), bind),
        mount("/etc/hosts", "bind", etc("hosts"), bind),
    });
    for (const BundleMount& wanted : spec.mounts) {
        // Over /etc the three files come again: they are this container's, not the volume's.
        const bool above = wanted.target == "/etc";
        mounts.insert(above ? mounts.end() - 3 : mounts.end(), user_mount(wanted));
    }
    return mounts;
}

Json masked_paths() {
    return Json::array({"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore",
                        "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
                        "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
                        "/sys/firmware", "/sys/fs/bpf"});
}

Json readonly_paths() {
    return Json::array({"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"});
}

// Not the daemon's own, which depend on how it was started; servers raise the soft one to the hard.
Json make_rlimits(std::uint64_t open_files) {
    return Json::array({{{"type", "RLIMIT_NOFILE"},
                         {"soft", std::min(kOpenFilesSoft, open_files)},
                         {"hard", open_files}}});
}

Json make_env(const ImageDefaults& image, const core::ContainerOptions& options,
              const std::string& hostname) {
    // A later value of the same name replaces the earlier one in its place.
    std::vector<std::string> env = {kDefaultPath, "HOSTNAME=" + hostname};
    const auto put = [&](const std::string& entry) {
        const std::string name = entry.substr(0, entry.find('=') + 1);
        const auto same = std::ranges::find_if(
            env, [&](const std::string& old) { return old.starts_with(name); });
        if (same == env.end())
            env.push_back(entry);
        else
            *same = entry;
    };
    std::ranges::for_each(image.env, put);
    std::ranges::for_each(options.env, put);
    return env;
}

Json make_linux(const core::ContainerRecord& container, const BundleSpec& spec,
                bool packet_sockets) {
    Json namespaces = Json::array();
    for (const char* type : {"pid", "network", "ipc", "uts", "mount", "user", "cgroup"})
        namespaces.push_back({{"type", type}});
    const Json mapping = Json::array(
        {{{"containerID", 0}, {"hostID", container.ids.first}, {"size", container.ids.count}}});
    return Json{{"namespaces", std::move(namespaces)},
                {"uidMappings", mapping},
                {"gidMappings", mapping},
                {"cgroupsPath", spec.cgroup_path},
                {"resources", make_resources(container.options.limits, spec.limits)},
                {"sysctl", {{"net.ipv4.ping_group_range", "0 65535"}}},
                {"maskedPaths", masked_paths()},
                {"readonlyPaths", readonly_paths()},
                {"seccomp", default_seccomp_profile({.packet_sockets = packet_sockets})}};
}

Json image_annotation(const BundleSpec& spec) {
    Json layers = Json::array();
    for (const stdfs::path& layer : spec.layers)
        layers.push_back(layer.string());
    return Json{{"rootfsType", "overlay"},
                {"imageLayer", std::move(layers)},
                {"upperDir", (spec.directory / "diff").string()},
                {"workDir", (spec.directory / "work").string()}};
}

std::string hostname_of(const core::ContainerRecord& container) {
    return container.options.hostname.empty() ? container.id : container.options.hostname;
}

// The files belong to the container's root: it may change them, as containers expect.
Status write_owned(const stdfs::path& path, std::string_view text, std::uint32_t owner) {
    RAIND_CHECK(write_file_atomic(path, text, 0644));
    if (lchown(path.c_str(), owner, owner) != 0)
        return os_error(fmt::format("chown {}", path.string()));
    return {};
}

Status write_etc(const core::ContainerRecord& container, const BundleSpec& spec) {
    const stdfs::path etc = spec.directory / "etc";
    const std::string hostname = hostname_of(container);
    std::string hosts = "127.0.0.1 localhost\n::1 localhost\n";
    hosts += fmt::format("{} {}\n", container.ip4.to_string(), hostname);
    hosts += fmt::format("{} {}\n", container.ip6.to_string(), hostname);
    std::string resolv;
    for (const std::string& server : spec.name_servers)
        resolv += fmt::format("nameserver {}\n", server);
    RAIND_CHECK(write_owned(etc / "hosts", hosts, container.ids.first));
    RAIND_CHECK(write_owned(etc / "hostname", hostname + "\n", container.ids.first));
    return write_owned(etc / "resolv.conf", resolv, container.ids.first);
}

}  // namespace

std::vector<std::string> usable_name_servers(std::string_view resolv_conf) {
    std::vector<std::string> servers;
    for (const std::string& line : split(resolv_conf, '\n')) {
        const std::string_view text = trim(line);
        constexpr std::string_view kKey = "nameserver";
        if (!text.starts_with(kKey))
            continue;
        const auto address = IpAddress::parse(trim(text.substr(kKey.size())));
        if (!address)
            continue;
        const bool loopback4 = address->is_v4() && address->v4_host_order() >> 24 == 127;
        const bool loopback6 = address->to_string() == "::1";
        if (!loopback4 && !loopback6)
            servers.push_back(address->to_string());
    }
    return servers;
}

std::uint64_t reachable_open_files() {
    rlimit now{};
    if (getrlimit(RLIMIT_NOFILE, &now) != 0 || now.rlim_max >= kOpenFiles)
        return kOpenFiles;
    const rlimit more{.rlim_cur = now.rlim_cur, .rlim_max = kOpenFiles};
    return setrlimit(RLIMIT_NOFILE, &more) == 0 ? kOpenFiles : now.rlim_max;
}

Result<std::vector<std::string>> resolve_process(const core::ContainerOptions& options,
                                                 const ImageDefaults& image) {
    std::vector<std::string> process;
    if (!options.entrypoint.empty()) {
        process = options.entrypoint;
        process.insert(process.end(), options.command.begin(), options.command.end());
    } else if (!options.command.empty()) {
        process = options.command;
    } else {
        process = image.entrypoint;
        process.insert(process.end(), image.command.begin(), image.command.end());
    }
    if (process.empty() || process[0].empty())
        return Error(Errc::InvalidArgument, "no command: the image names none and none was given");
    return process;
}

Result<Json> make_config(const core::ContainerRecord& container, const BundleSpec& spec) {
    const core::ContainerOptions& options = container.options;
    RAIND_TRY(const auto capabilities, container_capabilities(options.cap_add, options.cap_drop));
    const bool packet_sockets =
        std::ranges::find(capabilities, "CAP_NET_RAW") != capabilities.end();
    RAIND_TRY(Json user, make_user(options.user.empty() ? spec.image.user : options.user));
    std::string cwd = options.working_dir.empty() ? spec.image.working_dir : options.working_dir;
    if (cwd.empty())
        cwd = "/";
    if (cwd[0] != '/')
        return Error(Errc::InvalidArgument,
                     fmt::format("working directory \"{}\" is not absolute", cwd));
    const std::string hostname = hostname_of(container);
    Json process{{"terminal", false},
                 {"user", std::move(user)},
                 {"args", container.process},
                 {"env", make_env(spec.image, options, hostname)},
                 {"cwd", cwd},
                 {"noNewPrivileges", true},
                 {"rlimits", make_rlimits(spec.open_files)},
                 {"capabilities",
                  {{"bounding", capabilities},
                   {"effective", capabilities},
                   {"permitted", capabilities},
                   {"inheritable", Json::array()},
                   {"ambient", Json::array()}}}};
    if (!spec.apparmor.empty())
        process["apparmorProfile"] = spec.apparmor;
    return Json{{"ociVersion", "1.1.0"},
                {"root", {{"path", "rootfs"}, {"readonly", options.read_only}}},
                {"hostname", hostname},
                {"process", std::move(process)},
                {"mounts", make_mounts(spec)},
                {"linux", make_linux(container, spec, packet_sockets)},
                {"annotations",
                 {{"io.raind.runtime.annotation.version", "0.1.0"},
                  {"io.raind.image.config", dump_json(image_annotation(spec))}}}};
}

Status write_bundle(const core::ContainerRecord& container, const BundleSpec& spec) {
    RAIND_TRY(const Json config, make_config(container, spec));
    RAIND_CHECK(make_dirs(spec.directory, 0700));
    for (const char* name : {"etc", "diff", "work", "logs", "rootfs"})
        RAIND_CHECK(make_dirs(spec.directory / name, 0755));
    RAIND_CHECK(write_etc(container, spec));
    const std::string text = dump_json(config, 2) + "\n";
    RAIND_CHECK(write_file_atomic(spec.directory / "config.json", text, 0600));
    const Json hash{{"sha256", to_hex(sha256(text))}};
    return write_file_atomic(spec.directory / "config_hash.json", dump_json(hash) + "\n", 0600);
}

}  // namespace raind::runtime
