#include <algorithm>
#include <doctest/doctest.h>

#include "userspace/common/json.h"
#include "userspace/runtime/bundle.h"
#include "userspace/runtime/seccomp_profile.h"

using namespace raind;
using namespace raind::runtime;

namespace {

core::ContainerRecord container() {
    core::ContainerRecord record;
    record.id = "01kx4m2r7vqa";
    record.process = {"/bin/sh"};
    record.ip4 = *IpAddress::parse("10.166.0.1");
    record.ip6 = *IpAddress::parse("fd00::1");
    record.ids = {.first = 0x20000000, .count = 65536};
    return record;
}

BundleSpec spec() {
    return {.directory = "/var/c/x", .layers = {"/l/a", "/l/b"}, .cgroup_path = "/raind/x"};
}

bool allows(const Json& profile, const std::string& name) {
    for (const Json& rule : profile.at("syscalls"))
        if (rule.at("action") == "SCMP_ACT_ALLOW")
            for (const Json& entry : rule.at("names"))
                if (entry == name)
                    return true;
    return false;
}

}  // namespace

TEST_CASE("every container has seven namespaces, a shifted range, no_new_privs and a filter") {
    const auto config = make_config(container(), spec());
    REQUIRE(config.has_value());
    const Json& os = config->at("linux");
    CHECK(os.at("namespaces").size() == 7);
    CHECK(os.at("uidMappings")[0].at("hostID") == 0x20000000);
    CHECK(os.at("gidMappings")[0].at("size") == 65536);
    CHECK(os.at("seccomp").at("defaultAction") == "SCMP_ACT_ERRNO");
    CHECK(config->at("process").at("noNewPrivileges") == true);
    CHECK(config->at("process").at("rlimits") ==
          Json::array({{{"type", "RLIMIT_NOFILE"}, {"soft", 1024}, {"hard", 524288}}}));
    BundleSpec few = spec();
    few.open_files = 100;
    CHECK(make_config(container(), few)->at("process").at("rlimits").at(0).at("soft") == 100);
    CHECK(config->at("process").at("capabilities").at("bounding").size() == 13);
    CHECK(config->at("process").at("capabilities").at("ambient").empty());
    CHECK(os.at("sysctl").at("net.ipv4.ping_group_range") == "0 65535");
    CHECK(os.at("resources").size() == 1);  // no controller, no limit
    CHECK(os.at("resources").at("devices")[0].at("allow") == false);
}

TEST_CASE("limits are written only where the controller is") {
    BundleSpec with = spec();
    with.limits = {.memory = true, .cpu = true, .pids = true};
    const auto config = make_config(container(), with);
    const Json& resources = config->at("linux").at("resources");
    CHECK(resources.at("memory").at("limit") == 1 << 30);
    CHECK(resources.at("cpu").at("quota") == 80000);
    CHECK(resources.at("pids").at("limit") == 512);
}

TEST_CASE("the environment: image, then options, the last value of a name wins") {
    BundleSpec with = spec();
    with.image.env = {"A=1", "PATH=/image"};
    auto record = container();
    record.options.env = {"A=2", "B=3"};
    const auto config = make_config(record, with);
    const auto env = config->at("process").at("env").get<std::vector<std::string>>();
    CHECK(env == std::vector<std::string>{"PATH=/image", "HOSTNAME=01kx4m2r7vqa", "A=2", "B=3"});
}

TEST_CASE("what runs: entry point, command, image") {
    ImageDefaults image{.entrypoint = {"/entry"}, .command = {"arg"}};
    CHECK(*resolve_process({}, image) == std::vector<std::string>{"/entry", "arg"});
    CHECK(*resolve_process({.command = {"ls", "-l"}}, image) ==
          std::vector<std::string>{"ls", "-l"});
    CHECK(*resolve_process({.command = {"x"}, .entrypoint = {"/e"}}, image) ==
          std::vector<std::string>{"/e", "x"});
    CHECK(resolve_process({}, {}).error().code() == Errc::InvalidArgument);
}

TEST_CASE("the user: the option, else the image's, for droplet to look up") {
    BundleSpec with = spec();
    with.image.user = "app";
    auto record = container();
    const auto lookup = [&] {
        return make_config(record, with)->at("process").at("user").at("io.raind.lookup");
    };
    CHECK(lookup() == "app");
    record.options.user = "1000:2000";
    CHECK(lookup() == "1000:2000");
    CHECK(make_config(record, with)->at("process").at("user").at("gid") == 2000);
    for (const char* user : {"65536", "-1", "1:2:3", "1:"}) {
        record.options.user = user;
        CHECK_FALSE(make_config(record, with).has_value());
    }
}

TEST_CASE("the AppArmor profile is named where the host has it") {
    CHECK_FALSE(make_config(container(), spec())->at("process").contains("apparmorProfile"));
    BundleSpec with = spec();
    with.apparmor = "raind-default";
    CHECK(make_config(container(), with)->at("process").at("apparmorProfile") == "raind-default");
}

TEST_CASE("name servers of the host that are not loopback") {
    CHECK(usable_name_servers("# x\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver ::1\n"
                              "nameserver fd00::53\nsearch a\nnameserver nonsense\n") ==
          std::vector<std::string>{"192.0.2.1", "fd00::53"});
}

TEST_CASE("the seccomp list keeps the dangerous calls out") {
    const Json profile = default_seccomp_profile({});
    for (const char* name : {"bpf",
                             "perf_event_open",
                             "kexec_load",
                             "kexec_file_load",
                             "open_by_handle_at",
                             "name_to_handle_at",
                             "ptrace",
                             "process_vm_readv",
                             "process_vm_writev",
                             "userfaultfd",
                             "reboot",
                             "swapon",
                             "swapoff",
                             "init_module",
                             "finit_module",
                             "delete_module",
                             "kcmp",
                             "mount",
                             "unshare",
                             "setns",
                             "clone3",
                             "fsopen",
                             "fsmount",
                             "move_mount",
                             "open_tree",
                             "mount_setattr",
                             "keyctl",
                             "add_key",
                             "request_key",
                             "io_uring_setup",
                             "io_uring_enter",
                             "pivot_root",
                             "umount2",
                             "acct",
                             "quotactl",
                             "syslog",
                             "socketcall",
                             "sethostname"})
        CHECK_MESSAGE(!allows(profile, name), name);
    for (const char* name : {"read", "execve", "clone", "socket", "chroot", "personality"})
        CHECK_MESSAGE(allows(profile, name), name);
}

TEST_CASE("packet sockets only with the capability") {
    const auto families = [](const Json& profile) {
        std::vector<int> out;
        for (const Json& rule : profile.at("syscalls"))
            if (rule.at("names")[0] == "socket")
                out.push_back(rule.at("args")[0].at("value").get<int>());
        return out;
    };
    CHECK(families(default_seccomp_profile({})) == std::vector<int>{1, 2, 10, 16});
    CHECK(families(default_seccomp_profile({.packet_sockets = true})) ==
          std::vector<int>{1, 2, 10, 16, 17});
}

TEST_CASE("the mounts of users come last, id-mapped, without set-id and devices") {
    BundleSpec with = spec();
    with.mounts = {{.source = "/srv", .target = "/etc", .read_only = true, .recursive = true},
                   {.source = "/v/db", .target = "/data", .fill = true}};
    const auto config = make_config(container(), with);
    const Json& mounts = config->at("mounts");
    const std::size_t n = mounts.size();
    CHECK(n == make_config(container(), spec())->at("mounts").size() + 2);
    CHECK(mounts[n - 1] ==
          Json::parse(R"({"destination":"/data","type":"bind","source":"/v/db","options":
              ["bind","rprivate","rnosuid","rnodev","idmap","x-raind.nolinks","x-raind.fill"]})"));
    // What is mounted over /etc does not hide the container's own three files.
    CHECK(mounts[n - 2].at("destination") == "/etc/hosts");
    CHECK(mounts[n - 5] ==
          Json::parse(R"({"destination":"/etc","type":"bind","source":"/srv","options":
              ["rbind","rprivate","rnosuid","rnodev","ridmap","x-raind.nolinks","rro"]})"));
}
