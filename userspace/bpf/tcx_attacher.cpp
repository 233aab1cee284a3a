#include "userspace/bpf/tcx_attacher.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <set>

#include "userspace/bpf/programs.h"

namespace raind::bpf {

namespace {

constexpr std::uint32_t kBefore = 1U << 3;

struct LinkInfo {
    std::uint32_t program = 0;
    std::uint32_t ifindex = 0;  // 0: the device is gone
};

Result<LinkInfo> link_info(int fd) {
    bpf_link_info info{};
    std::uint32_t size = sizeof info;
    if (::bpf_obj_get_info_by_fd(fd, &info, &size) != 0)
        return os_error("read link");
    // tcx's part of the union begins with the interface index, as XDP's does
    return LinkInfo{info.prog_id, info.xdp.ifindex};
}

Result<bool> runs_first(std::uint32_t ifindex, int type, int program) {
    RAIND_TRY(const std::uint32_t ours, program_id(program));
    RAIND_TRY(const std::vector<std::uint32_t> ids, tcx_programs(ifindex, type));
    return !ids.empty() && ids.front() == ours;
}

// The kernel ends an unpinned link some time later; detaching takes the program off at once.
Status end_link(const std::filesystem::path& pin) {
    const UniqueFd link(::bpf_obj_get(pin.c_str()));
    if (!link)
        return errno == ENOENT ? Status() : os_error("open pin " + pin.string());
    // ENOLINK: its device is gone
    if (::bpf_link_detach(link.get()) != 0 && errno != ENOLINK)
        return os_error("detach " + pin.string());
    return unpin(pin);
}

}  // namespace

std::vector<TcxAttacher::Hook> TcxAttacher::hooks(const std::string& interface) const {
    return {{interface + "_in", datapath_.from_fd(), kTcxIngress},
            {interface + "_out", datapath_.to_fd(), kTcxEgress}};
}

Result<bool> TcxAttacher::repair(const Hook& hook, std::uint32_t ifindex) const {
    const std::filesystem::path pin = datapath_.pins().link(hook.pin);
    const UniqueFd link(::bpf_obj_get(pin.c_str()));
    if (!link) {
        if (errno == ENOENT)
            return false;
        return os_error("open pin " + pin.string());
    }
    RAIND_TRY(const LinkInfo info, link_info(link.get()));
    if (info.ifindex != ifindex) {
        RAIND_CHECK(unpin(pin));
        return false;
    }
    RAIND_TRY(const std::uint32_t wanted, program_id(hook.program));
    if (info.program == wanted)
        return true;
    if (::bpf_link_update(link.get(), hook.program, nullptr) != 0)
        return os_error("replace program of " + pin.string());
    return true;
}

Status TcxAttacher::make(const Hook& hook, std::uint32_t ifindex) const {
    const std::filesystem::path pin = datapath_.pins().link(hook.pin);
    LIBBPF_OPTS(bpf_link_create_opts, options);
    options.flags = kBefore;
    const UniqueFd link(::bpf_link_create(hook.program, static_cast<int>(ifindex),
                                          static_cast<bpf_attach_type>(hook.type), &options));
    if (!link)
        return os_error("attach to interface " + std::to_string(ifindex));
    if (::bpf_obj_pin(link.get(), pin.c_str()) != 0)
        return os_error("pin " + pin.string());
    return {};
}

Status TcxAttacher::attach(const std::string& interface, std::uint32_t ifindex) {
    std::vector<std::string> made;
    const auto undo = [&](Error error) {
        for (const std::string& pin : made) {
            // the error that is being reported matters more
            if (const Status undone = end_link(datapath_.pins().link(pin)); !undone)
                error = std::move(error).context(undone.error().message());
        }
        return std::move(error).context("attach programs to " + interface);
    };
    for (const Hook& hook : hooks(interface)) {
        Result<bool> there = repair(hook, ifindex);
        if (!there)
            return undo(std::move(there.error()));
        if (!*there) {
            if (Status status = make(hook, ifindex); !status)
                return undo(std::move(status.error()));
            made.push_back(hook.pin);
        }
        Result<bool> first = runs_first(ifindex, hook.type, hook.program);
        if (!first)
            return undo(std::move(first.error()));
        if (!*first)
            return undo(Error(Errc::Conflict, "a foreign program runs before ours"));
    }
    return {};
}

Status TcxAttacher::detach(const std::string& interface) {
    for (const Hook& hook : hooks(interface))
        RAIND_CHECK(end_link(datapath_.pins().link(hook.pin)));
    return {};
}

Result<core::PortStatus> TcxAttacher::inspect(const std::string& interface, std::uint32_t ifindex) {
    core::PortStatus status{.interface = interface, .attached = true, .first = true, .kind = "tcx"};
    for (const Hook& hook : hooks(interface)) {
        RAIND_TRY(const std::uint32_t ours, program_id(hook.program));
        RAIND_TRY(const std::vector<std::uint32_t> ids, tcx_programs(ifindex, hook.type));
        status.attached = status.attached && std::ranges::find(ids, ours) != ids.end();
        status.first = status.first && !ids.empty() && ids.front() == ours;
    }
    return status;
}

Result<std::vector<std::string>> TcxAttacher::interfaces() {
    RAIND_TRY(const std::vector<std::string> pins, datapath_.pins().links());
    std::set<std::string> names;
    for (const std::string& pin : pins) {
        for (const std::string_view end : {"_in", "_out"}) {
            if (pin.ends_with(end))
                names.insert(pin.substr(0, pin.size() - end.size()));
        }
    }
    return std::vector<std::string>(names.begin(), names.end());
}

Result<bool> TcxAttacher::alive(const std::string& interface) {
    for (const Hook& hook : hooks(interface)) {
        const UniqueFd link(::bpf_obj_get(datapath_.pins().link(hook.pin).c_str()));
        if (!link)
            return false;
        RAIND_TRY(const LinkInfo info, link_info(link.get()));
        if (info.ifindex == 0)
            return false;
    }
    return true;
}

}  // namespace raind::bpf
