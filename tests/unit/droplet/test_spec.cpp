#include <doctest/doctest.h>

#include "droplet/spec.h"
#include "userspace/common/json.h"

using namespace raind::droplet;
using raind::Json;

namespace {

Json base() {
    return Json::parse(R"({"ociVersion":"1.0.2","root":{"path":"rootfs"},
        "process":{"args":["sh"],"cwd":"/","user":{"uid":0,"gid":0}},
        "linux":{"namespaces":[{"type":"mount"},{"type":"user"},{"type":"uts"},{"type":"network"}],
        "uidMappings":[{"containerID":0,"hostID":100000,"size":65536}],
        "gidMappings":[{"containerID":0,"hostID":100000,"size":65536}]}})");
}

std::string error_of(const Json& config) {
    const auto spec = parse_spec(config.dump());
    return spec ? "" : spec.error().message();
}

// The error after one change of the base configuration, which itself is right.
std::string error_with(const std::string& pointer, Json value) {
    Json config = base();
    config[Json::json_pointer(pointer)] = std::move(value);
    return error_of(config);
}

bool names(const std::string& error, const std::string& key) {
    INFO(error, " should name ", key);
    const bool found = error.find(key) != std::string::npos;
    CHECK(found);
    return found;
}

}  // namespace

TEST_CASE("spec: a right configuration, unknown keys ignored") {
    Json config = base();
    config["unknown"] = {{"deep", 1}};
    CHECK(error_of(config).empty());
}

TEST_CASE("spec: each wrong value is refused and its key is named") {
    const std::pair<const char*, Json> cases[] = {
        {"/ociVersion", "2.0.0"},
        {"/ociVersion", "1.0"},
        {"/ociVersion", 1},
        {"/hostname", 5},
        {"/root/path", 5},
        {"/root/readonly", "yes"},
        {"/process/args", Json::array()},
        {"/process/args", "sh"},
        {"/process/cwd", "relative"},
        {"/process/env", {"NOVALUE"}},
        {"/process/env", {"=x"}},
        {"/process/user/uid", -1},
        {"/process/user/uid", 4294967296},
        {"/process/user/uid", 70000},
        {"/process/user/additionalGids", {70000}},
        {"/process/noNewPrivileges", 1},
        {"/process/oomScoreAdj", 1001},
        {"/process/capabilities", {{"bounding", {"CAP_NONE"}}}},
        {"/process/rlimits", {{{"type", "RLIMIT_X"}, {"soft", 1}, {"hard", 1}}}},
        {"/process/rlimits", {{{"type", "RLIMIT_CPU"}, {"soft", 2}, {"hard", 1}}}},
        {"/process/terminal", true},
        {"/process/scheduler", {{"policy", "SCHED_FIFO"}}},
        {"/mounts", {{{"destination", "relative"}, {"type", "proc"}}}},
        {"/mounts", {{{"destination", "/proc/x"}, {"type", "tmpfs"}}}},
        {"/mounts", {{{"destination", "/a/.."}, {"type", "tmpfs"}}}},
        {"/mounts", {{{"destination", "/x"}, {"type", "bind"}}}},
        {"/hooks", {{"prestart", {{{"path", "relative"}}}}}},
        {"/hooks", {{"poststop", {{{"path", "/x"}, {"timeout", 0}}}}}},
        {"/annotations", {{"a", 1}}},
        {"/linux/namespaces/0/type", "none"},
        {"/linux/namespaces/0/type", "user"},
        {"/linux/namespaces/3/path", "relative"},
        {"/linux/uidMappings/0/size", 0},
        {"/linux/uidMappings/0/containerID", 1},
        {"/linux/sysctl", {{"kernel.panic", "1"}}},
        {"/linux/sysctl", {{"net..ipv4", "1"}}},
        {"/linux/sysctl", {{"net/../kernel/panic", "1"}}},
        {"/linux/sysctl", {{"kernel.shmmax", "1"}}},
        {"/linux/maskedPaths", {"relative"}},
        {"/linux/rootfsPropagation", "none"},
        {"/linux/resources", {{"pids", {{"limit", "x"}}}}},
        {"/linux/resources", {{"memory", {{"limit", 100}, {"swap", 50}}}}},
        {"/linux/resources", {{"unified", {{"../x", "1"}}}}},
        {"/linux/intelRdt", {{"closID", "x"}}},
    };
    for (const auto& [pointer, value] : cases) {
        const std::string error = error_with(pointer, value);
        std::string key = std::string(pointer).substr(1);
        key = key.substr(0, key.find('/'));
        INFO(pointer, " ", value.dump());
        CHECK_FALSE(error.empty());
        names(error, key);
    }
}

TEST_CASE("spec: NUL, duplicate keys and overlapping ranges are refused") {
    names(error_with("/process/args", {std::string("a\0b", 3)}), "process.args[0]");
    CHECK_FALSE(parse_spec(R"({"ociVersion":"1.0.2","ociVersion":"1.0.2"})").has_value());
    const Json overlap = Json::parse(R"([{"containerID":0,"hostID":1,"size":10},
                                         {"containerID":5,"hostID":100,"size":10}])");
    names(error_with("/linux/uidMappings", overlap), "overlap");
    Json twice = base();
    twice["linux"]["namespaces"].push_back({{"type", "uts"}});
    names(error_of(twice), "given twice");
}

TEST_CASE("spec: another platform, missing parts") {
    Json config = base();
    config.erase("linux");
    names(error_of(config), "another platform");
    config = base();
    config.erase("root");
    names(error_of(config), "root");
    config = base();
    config["linux"]["namespaces"] = {{{"type", "mount"}}};
    config["linux"].erase("uidMappings");
    config["linux"].erase("gidMappings");
    config["hostname"] = "x";
    names(error_of(config), "hostname");
}

TEST_CASE("spec: the image annotation replaces the root path; order and errors") {
    Json config = base();
    config.erase("root");
    const Json image{{"rootfsType", "overlay"},
                     {"imageLayer", {"/low", "/top"}},
                     {"upperDir", "/u"},
                     {"workDir", "/w"}};
    config["annotations"]["io.raind.image.config"] = image.dump();
    const auto spec = parse_spec(config.dump());
    REQUIRE(spec);
    REQUIRE(spec->image);
    CHECK(spec->image->layers == std::vector<std::string>{"/low", "/top"});
    Json wrong = image;
    wrong["upperDir"] = "u";
    config["annotations"]["io.raind.image.config"] = wrong.dump();
    names(error_of(config), "upperDir");
}

TEST_CASE("spec: resources become files of the cgroup") {
    Json config = base();
    config["linux"]["resources"] = Json::parse(R"({"memory":{"limit":1073741824,"swap":1073741824},
        "cpu":{"shares":1024,"quota":80000,"period":100000},"pids":{"limit":512}})");
    const auto spec = parse_spec(config.dump());
    REQUIRE(spec);
    std::map<std::string, std::string> files;
    for (const auto& setting : spec->cgroup_settings)
        files[setting.file] = setting.value;
    CHECK(files == std::map<std::string, std::string>{{"memory.max", "1073741824"},
                                                      {"memory.swap.max", "0"},
                                                      {"cpu.weight", "100"},
                                                      {"cpu.max", "80000 100000"},
                                                      {"pids.max", "512"}});
}

TEST_CASE("spec: the last value of a variable wins") {
    Json config = base();
    config["process"]["env"] = {"A=1", "B=2", "A=3"};
    const auto spec = parse_spec(config.dump());
    REQUIRE(spec);
    CHECK(spec->process->env == std::vector<std::string>{"A=3", "B=2"});
}
