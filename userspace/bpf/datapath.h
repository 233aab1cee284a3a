// Datapath: the loaded programs and their maps. Loads the objects with every map bound to its pin,
// so that a restart finds flows, policy and endpoints as they were; owns all descriptors. Load and
// use from one thread; map calls are safe from any.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "raind/abi/maps.h"
#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/bpf/map.h"
#include "userspace/bpf/pins.h"

namespace raind::bpf {

// Sizes of maps that are made; existing pins keep theirs.
struct LoadOptions {
    std::filesystem::path bpffs;
    std::uint32_t flow_entries = RAIND_MAX_CT;
    std::uint32_t ring_flow = RAIND_RING_FLOW;
    std::uint32_t ring_deny = RAIND_RING_DENY;
};

class Datapath {
  public:
    static Result<std::unique_ptr<Datapath>> load(const LoadOptions& options);

    Datapath(const Datapath&) = delete;
    Datapath& operator=(const Datapath&) = delete;

    const Pins& pins() const { return pins_; }
    int from_fd() const { return from_.get(); }
    int to_fd() const { return to_.get(); }
    int sweep_fd() const { return sweep_.get(); }
    // The pinned programs were of another build: links must be moved to the new ones.
    bool programs_replaced() const { return replaced_; }
    unsigned cpus() const { return cpus_; }

    BpfMap<std::uint32_t, raind_endpoint> ep;
    BpfMap<raind_ip, raind_addrval> addr;
    BpfMap<raind_prefix, std::uint32_t> pool;
    BpfMap<raind_pubkey, raind_pubval> publish;
    BpfMap<std::uint32_t, std::uint64_t> active;
    BpfMap<std::uint32_t, raind_gen> gen;
    std::array<BpfMap<raind_polkey, raind_polval>, RAIND_SLOTS> policy;
    std::array<BpfMap<raind_prefix, raind_chain>, RAIND_SLOTS> cidr;
    std::array<BpfMap<std::uint32_t, raind_identval>, RAIND_SLOTS> ident;
    BpfMap<std::uint32_t, std::uint32_t> policy_slots;  // value written: descriptor of the map
    BpfMap<raind_ctkey, raind_ctval> ct;
    BpfMap<std::uint32_t, raind_quota> quota;
    PercpuMap<std::uint32_t, raind_epstat> epstat;
    BpfMap<std::uint32_t, raind_rulehit> rulehit;
    BpfMap<raind_denykey, raind_denyval> denyagg;
    BpfMap<std::uint32_t, std::uint64_t> lost;
    BpfMap<std::uint32_t, raind_beat> beat;
    BpfMap<std::uint32_t, raind_total> total;
    PercpuMap<std::uint32_t, raind_counter> stat;
    BpfMap<std::uint32_t, raind_rulename> rulename;
    BpfMap<std::uint32_t, raind_idname> idname;
    UniqueFd ev_flow;
    UniqueFd ev_deny;

  private:
    explicit Datapath(Pins pins) : pins_(std::move(pins)) {}
    Status load_objects(const LoadOptions& options);
    Status open_maps();
    Status tell_flow_entries();
    Status adopt_program(UniqueFd& slot, int fresh, const char* name);

    Pins pins_;
    UniqueFd from_, to_, sweep_;
    bool replaced_ = false;
    unsigned cpus_ = 0;
};

}  // namespace raind::bpf
