#include "userspace/runtime/create_request.h"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

#include "userspace/common/text.h"
#include "userspace/core/mounts.h"
#include "userspace/core/names.h"
#include "userspace/runtime/capabilities.h"
#include "userspace/runtime/limits.h"
#include "userspace/runtime/port_requests.h"
#include "userspace/runtime/process_options.h"
#include "userspace/runtime/request_checks.h"

namespace raind::runtime {
namespace {

constexpr std::size_t kMaxHostname = 63;

Error refuse(std::string_view option) {
    return Error(Errc::Unsupported, fmt::format("{} is not supported yet", option));
}

Status check_hostname(const std::string& name) {
    const bool ok = name.size() <= kMaxHostname && std::ranges::all_of(name, [](unsigned char c) {
                        return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
                    });
    if (!ok || name.starts_with('-'))
        return Error(Errc::InvalidArgument,
                     fmt::format("invalid hostname: \"{}\"", printable(name)));
    return {};
}

unsigned processors() {
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? static_cast<unsigned>(count) : 1U;
}

Status check_stop(const api::CreateContainerRequest& request) {
    if (!request.stop_signal.empty())
        RAIND_CHECK(check_signal(request.stop_signal));
    if (request.stop_timeout &&
        (*request.stop_timeout < 0 || *request.stop_timeout > api::kLongestStopTimeout))
        return Error(Errc::InvalidArgument, fmt::format("invalid stop timeout: 0 to {} seconds",
                                                        api::kLongestStopTimeout));
    return {};
}

}  // namespace

Result<core::ContainerOptions> checked_options(const api::CreateContainerRequest& request) {
    if (request.tty)
        return refuse("a terminal");
    if (!request.network.empty() && request.network != kDefaultNetwork)
        return Error(Errc::NotFound,
                     fmt::format("target bridge not configured: {}", printable(request.network)));
    if (request.image.empty())
        return Error(Errc::InvalidArgument, "empty repository");
    if (!request.name.empty())
        RAIND_CHECK(core::validate_container_name(request.name));
    RAIND_CHECK(check_words(request.command, "command"));
    RAIND_CHECK(check_words(request.entrypoint, "entrypoint"));
    RAIND_CHECK(check_env(request.env));
    RAIND_CHECK(check_hostname(request.hostname));
    RAIND_CHECK(check_labels(request.labels));
    RAIND_CHECK(container_capabilities(request.cap_add, request.cap_drop));
    RAIND_CHECK(check_user(request.user));
    if (!request.working_dir.empty() && request.working_dir[0] != '/')
        return Error(Errc::InvalidArgument, fmt::format("working directory \"{}\" is not absolute",
                                                        printable(request.working_dir)));
    RAIND_CHECK(check_words({request.working_dir}, "working directory"));
    RAIND_CHECK(check_stop(request));
    RAIND_TRY(const core::ResourceLimits limits, checked_limits(request, processors()));
    std::optional<int> stop_timeout;
    if (request.stop_timeout)
        stop_timeout = static_cast<int>(*request.stop_timeout);
    RAIND_TRY(auto ports, checked_ports(request.port));
    RAIND_TRY(auto mounts, core::parse_mounts(request.mount));
    return core::ContainerOptions{.command = request.command,
                                  .entrypoint = request.entrypoint,
                                  .env = request.env,
                                  .user = request.user,
                                  .working_dir = request.working_dir,
                                  .hostname = request.hostname,
                                  .read_only = request.read_only,
                                  .cap_add = request.cap_add,
                                  .cap_drop = request.cap_drop,
                                  .labels = request.labels,
                                  .auto_remove = request.auto_remove,
                                  .limits = limits,
                                  .stop_signal = request.stop_signal,
                                  .stop_timeout = stop_timeout,
                                  .ports = std::move(ports),
                                  .mounts = std::move(mounts)};
}

}  // namespace raind::runtime
