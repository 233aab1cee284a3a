// PortAttacher by filters of a clsact queueing discipline, for kernels without tcx. The device
// holds the filters, and they their program: nothing has to be pinned for them to outlive the
// daemon. What is pinned is the record that a port is ours (links/<interface>_clsact, made before
// the first filter and removed after the last) and that its queueing discipline is of our making
// (_qdisc).
#pragma once

#include <array>

#include "userspace/bpf/attacher.h"
#include "userspace/bpf/datapath.h"
#include "userspace/bpf/tc_filters.h"

namespace raind::bpf {

class ClsactAttacher final : public PortAttacher {
  public:
    explicit ClsactAttacher(const Datapath& datapath) : datapath_(datapath) {}

    std::string_view kind() const override { return "clsact"; }
    Status attach(const std::string& interface, std::uint32_t ifindex) override;
    Status detach(const std::string& interface) override;
    Result<core::PortStatus> inspect(const std::string& interface, std::uint32_t ifindex) override;
    Result<std::vector<std::string>> interfaces() override;
    Result<bool> alive(const std::string& interface) override;

  private:
    struct Hook {
        TcHook where;
        int program;
    };
    std::array<Hook, 2> hooks() const;
    std::filesystem::path record(const std::string& interface) const;
    std::filesystem::path qdisc_record(const std::string& interface) const;
    Status keep_record(const std::string& interface) const;
    Status make_qdisc(const std::string& interface, std::uint32_t ifindex) const;
    // Whether it had to be made anew; an old program is replaced in one step.
    Result<bool> ensure(const Hook& hook, std::uint32_t ifindex) const;
    Status put_in_force(const std::string& interface, std::uint32_t ifindex,
                        std::vector<TcHook>& made);
    Status remove_filters(const std::string& interface, std::uint32_t ifindex) const;

    const Datapath& datapath_;
};

}  // namespace raind::bpf
