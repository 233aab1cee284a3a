#include "userspace/runtime/limits.h"

#include <fmt/format.h>

#include "userspace/common/json.h"

namespace raind::runtime {
namespace {

constexpr std::int64_t kDefaultMemory = std::int64_t{1} << 30;
constexpr std::int64_t kDefaultNanoCpus = 800'000'000;
constexpr std::int64_t kDefaultPids = 512;

// Below this the runtime's own first steps are killed.
constexpr std::int64_t kLeastMemory = std::int64_t{6} << 20;
constexpr std::int64_t kMostMemory = std::int64_t{1} << 60;
constexpr std::int64_t kProcessor = 1'000'000'000;
constexpr std::int64_t kLeastNanoCpus = 10'000'000;
constexpr std::int64_t kMostPids = 4'194'304;  // PID_MAX_LIMIT of the kernel
constexpr std::int64_t kCpuPeriod = 100'000;   // microseconds

using Wanted = std::optional<std::int64_t>;

Wanted none_as_zero(const Wanted& value) {
    return value && *value == -1 ? Wanted(0) : value;
}

Status check_range(const Wanted& value, std::int64_t low, std::int64_t high,
                   const std::string& error) {
    if (value && *value != 0 && (*value < low || *value > high))
        return Error(Errc::InvalidArgument, error);
    return {};
}

// What is in force: the request, else the default where the host can set it. 0: no limit.
std::int64_t effective(const Wanted& wanted, bool there, std::int64_t fallback) {
    return wanted ? *wanted : there ? fallback : 0;
}

Status need(const Wanted& wanted, bool there, const char* what, const char* controller) {
    if (!wanted || *wanted == 0 || there)
        return {};
    return Error(Errc::Unsupported,
                 fmt::format("the {} limit cannot be set: cgroup v2 has no {} controller here",
                             what, controller));
}

// config.json is our own file, but an earlier version may have written it.
const Json* at(const Json& object, std::initializer_list<const char*> path) {
    const Json* here = &object;
    for (const char* key : path) {
        const auto found = here->is_object() ? here->find(key) : here->end();
        if (!here->is_object() || found == here->end())
            return nullptr;
        here = &*found;
    }
    return here;
}

Wanted number_at(const Json& object, std::initializer_list<const char*> path) {
    const Json* value = at(object, path);
    return value != nullptr && value->is_number_integer() ? Wanted(value->get<std::int64_t>())
                                                          : Wanted();
}

}  // namespace

Result<core::ResourceLimits> checked_limits(const api::CreateContainerRequest& request,
                                            unsigned processors) {
    const core::ResourceLimits limits{.memory = none_as_zero(request.memory),
                                      .nano_cpus = none_as_zero(request.nano_cpus),
                                      .pids = none_as_zero(request.pids_limit)};
    RAIND_CHECK(check_range(limits.memory, kLeastMemory, kMostMemory,
                            "invalid memory limit: from 6m to 1048576t, or 0 for no limit"));
    const std::int64_t most = std::int64_t{processors} * kProcessor;
    RAIND_CHECK(check_range(
        limits.nano_cpus, kLeastNanoCpus, most,
        fmt::format("invalid CPU limit: this host has processors for 0.01 to {}", processors)));
    RAIND_CHECK(
        check_range(limits.pids, 1, kMostPids,
                    fmt::format("invalid process limit: 1 to {}, or 0 for no limit", kMostPids)));
    return limits;
}

Status check_controllers(const core::ResourceLimits& limits, const CgroupLimits& there) {
    RAIND_CHECK(need(limits.memory, there.memory, "memory", "memory"));
    RAIND_CHECK(need(limits.nano_cpus, there.cpu, "CPU", "cpu"));
    return need(limits.pids, there.pids, "process", "pids");
}

Json make_resources(const core::ResourceLimits& limits, const CgroupLimits& there) {
    // Nothing but what droplet always permits: null, zero, full, random, urandom, tty, pts.
    Json resources{{"devices", Json::array({{{"allow", false}, {"access", "rwm"}}})}};
    if (const auto memory = effective(limits.memory, there.memory, kDefaultMemory); memory != 0) {
        resources["memory"]["limit"] = memory;
        // No swap beside it: the limit would only slow the host down instead of holding.
        if (there.swap)
            resources["memory"]["swap"] = memory;
    }
    if (const auto cpus = effective(limits.nano_cpus, there.cpu, kDefaultNanoCpus); cpus != 0)
        resources["cpu"] = {{"quota", cpus / (kProcessor / kCpuPeriod)}, {"period", kCpuPeriod}};
    if (const auto pids = effective(limits.pids, there.pids, kDefaultPids); pids != 0)
        resources["pids"] = {{"limit", pids}};
    return resources;
}

void describe_bundle(const Json& config, api::ContainerInfo& info) {
    info.memory = number_at(config, {"linux", "resources", "memory", "limit"});
    info.pids = number_at(config, {"linux", "resources", "pids", "limit"});
    const Wanted quota = number_at(config, {"linux", "resources", "cpu", "quota"});
    const Wanted period = number_at(config, {"linux", "resources", "cpu", "period"});
    if (quota && period && *period > 0)
        info.nano_cpus = *quota * (kProcessor / *period);
    const Json* profile = at(config, {"process", "apparmorProfile"});
    if (profile != nullptr && profile->is_string())
        info.apparmor = profile->get<std::string>();
}

}  // namespace raind::runtime
