#include "userspace/condenser/system_service.h"

#include <algorithm>
#include <fmt/format.h>
#include <sys/utsname.h>

#include "userspace/common/clock.h"

namespace raind::condenser {
namespace {

api::SystemCheck ok(std::string name, std::string detail) {
    return {std::move(name), "ok", std::move(detail)};
}

api::SystemCheck warning(std::string name, std::string detail) {
    return {std::move(name), "warning", std::move(detail)};
}

api::SystemCheck failed(std::string name, std::string detail) {
    return {std::move(name), "failed", std::move(detail)};
}

std::string kernel() {
    utsname name{};
    uname(&name);
    return name.release;
}

// By the containers, not by what the kernel shows: a port without programs is not among those.
api::SystemCheck check_ports(const core::BackendStatus& status,
                             const std::vector<core::ContainerRecord>& containers) {
    const auto works = [&](const std::string& interface) {
        return std::ranges::any_of(status.ports, [&](const core::PortStatus& port) {
            return port.interface == interface && port.attached && port.first;
        });
    };
    for (const core::ContainerRecord& container : containers)
        if (container.ep_id != 0 && !works(container.host_interface))
            return failed("ports", fmt::format("{} of container {}: programs missing or not first",
                                               container.host_interface, container.name));
    return ok("ports", fmt::format("{} with both programs in force by {}", status.ports.size(),
                                   status.attach));
}

api::SystemCheck check_forwarding(const Result<net::ForwardingState>& forwarding) {
    if (!forwarding)
        return failed("forwarding", forwarding.error().message());
    const auto word = [](bool on) { return on ? "on" : "off"; };
    const std::string detail =
        fmt::format("IPv4 {}, IPv6 {}", word(forwarding->ip4), word(forwarding->ip6));
    if (!forwarding->ip4 || !forwarding->ip6)
        return warning(
            "forwarding",
            detail +
                ": by a family that is off containers do not reach the outside, nor it their "
                "published ports (--manage-forwarding, or sysctl)");
    return ok("forwarding", detail);
}

api::SystemCheck check_apparmor(const runtime::AppArmor& apparmor) {
    if (apparmor.profile().empty())
        return warning("AppArmor", "containers run without a profile: " + apparmor.problem());
    const std::string detail = fmt::format("profile {} is enforced", apparmor.profile());
    if (!apparmor.problem().empty())
        return warning("AppArmor", detail + ", but " + apparmor.problem());
    return ok("AppArmor", detail);
}

}  // namespace

System::System(SystemDeps deps) : deps_(deps), started_at_(rfc3339(wall_now())) {
}

Result<api::SystemInfo> System::info() {
    api::SystemInfo info{.version = RAIND_VERSION, .kernel = kernel(), .backend = "ebpf"};
    RAIND_TRY(info.node, deps_.store.settings().node());
    RAIND_TRY(const auto records, deps_.store.containers().list());
    info.containers = records.size();
    info.containers_running = static_cast<std::uint64_t>(
        std::ranges::count(records, core::ContainerState::Running, &core::ContainerRecord::state));
    info.policy_revision = deps_.policies.revision();
    info.management = management_;
    info.started_at = started_at_;
    return info;
}

Result<std::vector<api::SystemCheck>> System::check() {
    std::vector<api::SystemCheck> checks;
    checks.push_back(ok("kernel", kernel()));
    const auto warnings = deps_.cgroups.warnings();
    if (warnings.empty())
        checks.push_back(ok("cgroup v2", "memory, cpu and pids limits are set"));
    for (const std::string& text : warnings)
        checks.push_back(warning("cgroup v2", text));
    checks.push_back(check_apparmor(deps_.apparmor));
    const auto status = deps_.datapath.status();
    if (!status) {
        checks.push_back(failed("datapath", status.error().message()));
        return checks;
    }
    const std::uint64_t stored = deps_.policies.revision();
    const std::string revision = fmt::format("revision {}, generation {}", status->applied.revision,
                                             status->applied.generation);
    checks.push_back(
        status->applied.revision == stored
            ? ok("policy", revision)
            : failed("policy", fmt::format("{}, but the store has revision {}", revision, stored)));
    RAIND_TRY(const auto containers, deps_.store.containers().list());
    checks.push_back(check_ports(*status, containers));
    for (const std::string& text : deps_.datapath.ports_not_held())
        checks.push_back(warning("published ports", text));
    checks.push_back(check_forwarding(deps_.datapath.forwarding()));
    std::uint64_t lost = 0;
    for (const auto& [kind, count] : status->lost)
        lost += count;
    checks.push_back(
        lost == 0 ? ok("events", "none lost")
                  : warning("events", fmt::format("{} lost since the maps were made", lost)));
    return checks;
}

}  // namespace raind::condenser
