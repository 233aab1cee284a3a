#include "userspace/runtime/port_requests.h"

#include <fmt/format.h>

namespace raind::runtime {

Result<std::vector<PortMapping>> checked_ports(const std::vector<std::string>& texts) {
    if (texts.size() > kMaxPorts)
        return Error(Errc::InvalidArgument, fmt::format("more than {} ports", kMaxPorts));
    std::vector<PortMapping> out;
    for (const std::string& text : texts) {
        RAIND_TRY(const PortMapping port, PortMapping::parse(text));
        for (const PortMapping& earlier : out)
            if (port.overlaps(earlier))
                return Error(Errc::InvalidArgument,
                             fmt::format("port {} is published twice", port.host_side()));
        out.push_back(port);
    }
    return out;
}

Status check_ports_free(const std::vector<PortMapping>& ports,
                        const std::vector<core::ContainerRecord>& others) {
    for (const core::ContainerRecord& other : others)
        for (const PortMapping& taken : other.options.ports)
            for (const PortMapping& port : ports)
                if (port.overlaps(taken))
                    return Error(Errc::Conflict,
                                 fmt::format("port {} is already published by \"{}\"",
                                             port.host_side(), other.name));
    return {};
}

std::vector<api::PortForward> forwards_of(const std::vector<PortMapping>& ports) {
    std::vector<api::PortForward> out;
    for (const PortMapping& port : ports)
        out.push_back({.address = port.address ? port.address->to_string() : std::string(),
                       .source = port.host,
                       .destination = port.container,
                       .protocol = std::string(protocol_name(port.protocol))});
    return out;
}

}  // namespace raind::runtime
