#include "userspace/bpf/datapath.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>

#include "raind/abi/names.h"

#include "userspace/bpf/object.h"
#include "userspace/bpf/objects.h"
#include "userspace/bpf/programs.h"

namespace raind::bpf {

namespace {

// Of the pin, when it is there.
Result<std::optional<bpf_map_info>> pinned_map(const std::filesystem::path& pin) {
    const UniqueFd fd(::bpf_obj_get(pin.c_str()));
    if (!fd) {
        if (errno == ENOENT)
            return std::optional<bpf_map_info>();
        return os_error("open pin " + pin.string());
    }
    bpf_map_info info{};
    std::uint32_t size = sizeof info;
    if (::bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0)
        return os_error("read pin " + pin.string());
    return std::optional<bpf_map_info>(info);
}

// Binds a map to its pin. What is pinned must have the layout of this build; it keeps its size.
Status bind_map(bpf_map* map, const Pins& pins) {
    const std::string name = ::bpf_map__name(map);
    const std::filesystem::path pin = pins.map(name);
    RAIND_TRY(const std::optional<bpf_map_info> info, pinned_map(pin));
    if (info) {
        if (info->type != static_cast<std::uint32_t>(::bpf_map__type(map)) ||
            info->key_size != ::bpf_map__key_size(map) ||
            info->value_size != ::bpf_map__value_size(map))
            return Error(Errc::Conflict, pin.string() + " has the layout of another version");
        if (::bpf_map__set_max_entries(map, info->max_entries) != 0)
            return os_error("size " + name);
    }
    if (::bpf_map__set_pin_path(map, pin.c_str()) != 0)
        return os_error("bind " + name);
    return {};
}

Status size_map(bpf_object* object, const char* name, std::uint32_t entries) {
    bpf_map* map = ::bpf_object__find_map_by_name(object, name);
    if (map == nullptr || ::bpf_map__set_max_entries(map, entries) != 0)
        return Error(Errc::Internal, fmt::format("size map {}", name));
    return {};
}

Status bind_maps(bpf_object* object, const Pins& pins) {
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object) {
        if (!::bpf_map__is_internal(map))
            RAIND_CHECK(bind_map(map, pins));
    }
    return {};
}

UniqueFd copy_fd(int fd) {
    return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

}  // namespace

Result<std::unique_ptr<Datapath>> Datapath::load(const LoadOptions& options) {
    RAIND_TRY(Pins pins, Pins::open(options.bpffs));
    std::unique_ptr<Datapath> datapath(new Datapath(std::move(pins)));
    const int cpus = ::libbpf_num_possible_cpus();
    if (cpus < 1)
        return os_error("count CPUs", -cpus);
    datapath->cpus_ = static_cast<unsigned>(cpus);
    RAIND_CHECK(datapath->load_objects(options));
    RAIND_CHECK(datapath->open_maps());
    RAIND_CHECK(datapath->tell_flow_entries());
    return datapath;
}

Status Datapath::load_objects(const LoadOptions& options) {
    struct Part {
        const char* name;
        std::span<const std::byte> elf;
    };
    for (const Part& part : {Part{"raind_tc", tc_object()}, Part{"raind_ctl", ctl_object()}}) {
        RAIND_TRY(BpfObject object, BpfObject::open(part.elf, part.name));
        RAIND_CHECK(size_map(object.get(), "raind_ct", options.flow_entries));
        RAIND_CHECK(size_map(object.get(), "raind_ev_flow", options.ring_flow));
        RAIND_CHECK(size_map(object.get(), "raind_ev_deny", options.ring_deny));
        RAIND_CHECK(bind_maps(object.get(), pins_));
        RAIND_CHECK(object.load());
        if (std::string_view(part.name) == "raind_ctl") {
            RAIND_TRY(const int sweep, object.program_fd("raind_sweep"));
            RAIND_CHECK(adopt_program(sweep_, sweep, "raind_sweep"));
            continue;
        }
        RAIND_TRY(const int from, object.program_fd("raind_from"));
        RAIND_CHECK(adopt_program(from_, from, "raind_from"));
        RAIND_TRY(const int to, object.program_fd("raind_to"));
        RAIND_CHECK(adopt_program(to_, to, "raind_to"));
    }
    return {};
}

// The pinned program stays when it is the same one, so that links and pins agree; else the new one
// takes the pin.
Status Datapath::adopt_program(UniqueFd& slot, int fresh, const char* name) {
    const std::filesystem::path pin = pins_.program(name);
    UniqueFd pinned(::bpf_obj_get(pin.c_str()));
    if (pinned) {
        RAIND_TRY(const std::string old_tag, program_tag(pinned.get()));
        RAIND_TRY(const std::string new_tag, program_tag(fresh));
        if (old_tag == new_tag) {
            slot = std::move(pinned);
            return {};
        }
        replaced_ = true;
    }
    slot = copy_fd(fresh);
    if (!slot)
        return os_error(fmt::format("keep program {}", name));
    return repin(slot.get(), pin);
}

// An endpoint's share in the flow table depends on the table's real size.
Status Datapath::tell_flow_entries() {
    RAIND_TRY(const std::optional<bpf_map_info> info, pinned_map(pins_.map("raind_ct")));
    RAIND_TRY(std::optional<raind_total> now, total.lookup(0));
    if (!info || !now)
        return Error(Errc::Internal, "flow table without a pin");
    if (now->max == info->max_entries)
        return {};
    now->max = info->max_entries;
    return total.update(0, *now);
}

Status Datapath::open_maps() {
    const auto pin = [&](const std::string& name) -> Result<UniqueFd> {
        UniqueFd fd(::bpf_obj_get(pins_.map(name).c_str()));
        if (!fd)
            return os_error("open map " + name);
        return fd;
    };
    const auto open = [&]<typename K, typename V>(BpfMap<K, V>& map, abi::Map which) -> Status {
        const std::string name = abi::map_name(which);
        RAIND_TRY(UniqueFd fd, pin(name));
        map = BpfMap<K, V>(std::move(fd), name);
        return {};
    };
    const auto open_slots = [&]<typename K, typename V>(std::array<BpfMap<K, V>, RAIND_SLOTS>& maps,
                                                        const std::string& name) -> Status {
        for (std::size_t slot = 0; slot < maps.size(); slot++) {
            const std::string full = fmt::format("{}_{}", name, slot);
            RAIND_TRY(UniqueFd fd, pin(full));
            maps[slot] = BpfMap<K, V>(std::move(fd), full);
        }
        return {};
    };
    RAIND_CHECK(open(ep, abi::Map::EP));
    RAIND_CHECK(open(addr, abi::Map::ADDR));
    RAIND_CHECK(open(pool, abi::Map::POOL));
    RAIND_CHECK(open(publish, abi::Map::PUBLISH));
    RAIND_CHECK(open(active, abi::Map::ACTIVE));
    RAIND_CHECK(open(gen, abi::Map::GEN));
    RAIND_CHECK(open(policy_slots, abi::Map::POLICY));
    RAIND_CHECK(open_slots(policy, "policy"));
    RAIND_CHECK(open_slots(cidr, "cidr"));
    RAIND_CHECK(open_slots(ident, "ident"));
    RAIND_CHECK(open(ct, abi::Map::CT));
    RAIND_CHECK(open(quota, abi::Map::QUOTA));
    RAIND_CHECK(open(rulehit, abi::Map::RULEHIT));
    RAIND_CHECK(open(denyagg, abi::Map::DENYAGG));
    RAIND_CHECK(open(lost, abi::Map::LOST));
    RAIND_CHECK(open(beat, abi::Map::BEAT));
    RAIND_CHECK(open(total, abi::Map::TOTAL));
    RAIND_CHECK(open(rulename, abi::Map::RULENAME));
    RAIND_CHECK(open(idname, abi::Map::IDNAME));
    RAIND_TRY(UniqueFd ep_stat, pin(abi::map_name(abi::Map::EPSTAT)));
    epstat = PercpuMap<std::uint32_t, raind_epstat>(std::move(ep_stat), "raind_epstat", cpus_);
    RAIND_TRY(UniqueFd reasons, pin(abi::map_name(abi::Map::STAT)));
    stat = PercpuMap<std::uint32_t, raind_counter>(std::move(reasons), "raind_stat", cpus_);
    RAIND_TRY(ev_flow, pin(abi::map_name(abi::Map::EV_FLOW)));
    RAIND_TRY(ev_deny, pin(abi::map_name(abi::Map::EV_DENY)));
    return {};
}

}  // namespace raind::bpf
