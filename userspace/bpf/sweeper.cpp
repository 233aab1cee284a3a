#include "userspace/bpf/sweeper.h"

#include <bpf/bpf.h>

#include "userspace/common/clock.h"

namespace raind::bpf {

Result<raind_sweep_args> Sweeper::run(std::uint32_t flags, std::uint32_t ep_id,
                                      std::uint32_t slot) const {
    raind_sweep_args args{};
    args.flags = flags;
    args.ep_id = ep_id;
    args.slot = slot;
    LIBBPF_OPTS(bpf_test_run_opts, run);
    run.ctx_in = &args;
    run.ctx_size_in = sizeof args;
    if (::bpf_prog_test_run_opts(datapath_.sweep_fd(), &run) != 0)
        return os_error("run sweep");
    if (run.retval != 0)
        return Error(Errc::Internal, "sweep found no work area");
    return args;
}

Status Sweeper::heartbeat() const {
    return datapath_.beat.update(
        0, raind_beat{.heartbeat = boottime_ns(), .layout = RAIND_LAYOUT, .pad = 0});
}

}  // namespace raind::bpf
