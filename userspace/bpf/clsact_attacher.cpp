#include "userspace/bpf/clsact_attacher.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <net/if.h>

#include "userspace/bpf/programs.h"

namespace raind::bpf {

namespace {

constexpr std::uint32_t kHandle = 0x7261;
constexpr std::uint32_t kPriority = 1;
constexpr std::string_view kRecord = "_clsact";

Result<bool> pinned(const std::filesystem::path& pin) {
    const UniqueFd there(::bpf_obj_get(pin.c_str()));
    if (!there && errno != ENOENT)
        return os_error("open pin " + pin.string());
    return there.valid();
}

bpf_tc_attach_point point(TcHook hook) {
    return hook == TcHook::Ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

bpf_tc_hook hook_at(std::uint32_t ifindex, int where) {
    LIBBPF_OPTS(bpf_tc_hook, hook);
    hook.ifindex = static_cast<int>(ifindex);
    hook.attach_point = static_cast<bpf_tc_attach_point>(where);
    return hook;
}

// Our place, whoever's program is in it.
bool is_our_place(const TcFilter& filter) {
    return filter.kind == "bpf" && filter.handle == kHandle && filter.priority == kPriority;
}

// Every frame goes to this program, and what it says is done.
bool runs(const TcFilter& filter, std::uint32_t program) {
    return is_our_place(filter) && filter.program == program && filter.direct_action &&
           filter.protocol == ETH_P_ALL;
}

Status remove_filter(std::uint32_t ifindex, TcHook where) {
    const bpf_tc_hook hook = hook_at(ifindex, point(where));
    LIBBPF_OPTS(bpf_tc_opts, options);
    options.handle = kHandle;
    options.priority = kPriority;
    const int code = ::bpf_tc_detach(&hook, &options);
    // ENOENT, EINVAL: no such filter, no such queueing discipline
    if (code != 0 && code != -ENOENT && code != -EINVAL && code != -ENODEV)
        return os_error(fmt::format("remove filter of interface {}", ifindex), -code);
    return {};
}

}  // namespace

std::array<ClsactAttacher::Hook, 2> ClsactAttacher::hooks() const {
    return {Hook{TcHook::Ingress, datapath_.from_fd()}, Hook{TcHook::Egress, datapath_.to_fd()}};
}

std::filesystem::path ClsactAttacher::record(const std::string& interface) const {
    return datapath_.pins().link(interface + std::string(kRecord));
}

std::filesystem::path ClsactAttacher::qdisc_record(const std::string& interface) const {
    return datapath_.pins().link(interface + "_qdisc");
}

// A pin of the program that is attached, so that no older build is kept in memory by it.
Status ClsactAttacher::keep_record(const std::string& interface) const {
    const std::filesystem::path pin = record(interface);
    const UniqueFd there(::bpf_obj_get(pin.c_str()));
    if (there) {
        RAIND_TRY(const std::uint32_t held, program_id(there.get()));
        RAIND_TRY(const std::uint32_t wanted, program_id(datapath_.from_fd()));
        if (held == wanted)
            return {};
    } else if (errno != ENOENT) {
        return os_error("open pin " + pin.string());
    }
    return repin(datapath_.from_fd(), pin);
}

Status ClsactAttacher::make_qdisc(const std::string& interface, std::uint32_t ifindex) const {
    bpf_tc_hook hook = hook_at(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
    const int code = ::bpf_tc_hook_create(&hook);
    if (code == -EEXIST)
        return {};
    if (code != 0)
        return os_error(fmt::format("make clsact of interface {}", ifindex), -code);
    return repin(datapath_.from_fd(), qdisc_record(interface));
}

Result<bool> ClsactAttacher::ensure(const Hook& hook, std::uint32_t ifindex) const {
    RAIND_TRY(const std::uint32_t wanted, program_id(hook.program));
    RAIND_TRY(const std::vector<TcFilter> filters, tc_filters(ifindex, hook.where));
    const auto ours = std::ranges::find_if(filters, is_our_place);
    if (ours != filters.end() && runs(*ours, wanted))
        return false;
    const bpf_tc_hook at = hook_at(ifindex, point(hook.where));
    LIBBPF_OPTS(bpf_tc_opts, options);
    options.prog_fd = hook.program;
    options.handle = kHandle;
    options.priority = kPriority;
    options.flags = BPF_TC_F_REPLACE;
    if (const int code = ::bpf_tc_attach(&at, &options); code != 0)
        return os_error(fmt::format("attach to interface {}", ifindex), -code);
    return ours == filters.end();
}

Status ClsactAttacher::put_in_force(const std::string& interface, std::uint32_t ifindex,
                                    std::vector<TcHook>& made) {
    RAIND_CHECK(keep_record(interface));
    RAIND_CHECK(make_qdisc(interface, ifindex));
    for (const Hook& hook : hooks()) {
        RAIND_TRY(const bool fresh, ensure(hook, ifindex));
        if (fresh)
            made.push_back(hook.where);
    }
    // Read back when both are there: under an "ingress" queueing discipline of others the second
    // one takes the place of the first.
    RAIND_TRY(const core::PortStatus status, inspect(interface, ifindex));
    if (!status.attached)
        return Error(Errc::Conflict, "the programs are not where they were put");
    if (!status.first)
        return Error(Errc::Conflict, "a foreign program runs before ours");
    return {};
}

Status ClsactAttacher::attach(const std::string& interface, std::uint32_t ifindex) {
    RAIND_TRY(const bool known, pinned(record(interface)));
    std::vector<TcHook> made;
    Status done = put_in_force(interface, ifindex, made);
    if (done)
        return {};
    Error error = std::move(done.error());
    const auto note = [&](const Status& undone) {
        if (!undone)  // the error that is being reported matters more
            error = std::move(error).context(undone.error().message());
    };
    if (known) {
        for (const TcHook where : made)
            note(remove_filter(ifindex, where));
    } else {
        note(detach(interface));
    }
    return std::move(error).context("attach programs to " + interface);
}

// Filters of others on the port keep the queueing discipline.
Status ClsactAttacher::remove_filters(const std::string& interface, std::uint32_t ifindex) const {
    bool others = false;
    for (const Hook& hook : hooks()) {
        RAIND_TRY(const std::vector<TcFilter> filters, tc_filters(ifindex, hook.where));
        if (std::ranges::any_of(filters, is_our_place))
            RAIND_CHECK(remove_filter(ifindex, hook.where));
        others = others || !std::ranges::all_of(filters, is_our_place);
    }
    RAIND_TRY(const bool made, pinned(qdisc_record(interface)));
    if (others || !made)
        return {};
    bpf_tc_hook hook = hook_at(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
    const int code = ::bpf_tc_hook_destroy(&hook);
    if (code != 0 && code != -ENOENT && code != -EINVAL && code != -ENODEV)
        return os_error("remove clsact of " + interface, -code);
    return {};
}

Status ClsactAttacher::detach(const std::string& interface) {
    RAIND_TRY(const bool known, pinned(record(interface)));
    if (!known)
        return {};
    if (const std::uint32_t ifindex = ::if_nametoindex(interface.c_str()); ifindex != 0)
        RAIND_CHECK(remove_filters(interface, ifindex));
    RAIND_CHECK(unpin(qdisc_record(interface)));
    return unpin(record(interface));
}

Result<core::PortStatus> ClsactAttacher::inspect(const std::string& interface,
                                                 std::uint32_t ifindex) {
    RAIND_TRY(const bool known, pinned(record(interface)));
    core::PortStatus status{
        .interface = interface, .attached = known, .first = true, .kind = "clsact"};
    for (const Hook& hook : hooks()) {
        RAIND_TRY(const std::uint32_t wanted, program_id(hook.program));
        RAIND_TRY(const std::vector<TcFilter> filters, tc_filters(ifindex, hook.where));
        const auto ours = [&](const TcFilter& filter) { return runs(filter, wanted); };
        status.attached = status.attached && std::ranges::any_of(filters, ours);
        status.first = status.first && !filters.empty() && ours(filters.front());
        // tcx comes before every filter; ours there is one of an earlier daemon
        RAIND_TRY(const std::vector<std::uint32_t> before,
                  tcx_programs(ifindex, hook.where == TcHook::Ingress ? kTcxIngress : kTcxEgress));
        status.first = status.first && std::ranges::count(before, wanted) == std::ssize(before);
    }
    return status;
}

Result<std::vector<std::string>> ClsactAttacher::interfaces() {
    RAIND_TRY(const std::vector<std::string> pins, datapath_.pins().links());
    std::vector<std::string> names;
    for (const std::string& pin : pins) {
        if (pin.ends_with(kRecord))
            names.push_back(pin.substr(0, pin.size() - kRecord.size()));
    }
    std::ranges::sort(names);
    return names;
}

Result<bool> ClsactAttacher::alive(const std::string& interface) {
    const std::uint32_t ifindex = ::if_nametoindex(interface.c_str());
    if (ifindex == 0)
        return false;
    RAIND_TRY(const core::PortStatus status, inspect(interface, ifindex));
    return status.attached;
}

}  // namespace raind::bpf
