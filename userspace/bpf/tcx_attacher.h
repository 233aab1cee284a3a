// PortAttacher by tcx links (kernel 6.6 and later).
#pragma once

#include "raind/unique_fd.h"

#include "userspace/bpf/attacher.h"
#include "userspace/bpf/datapath.h"

namespace raind::bpf {

class TcxAttacher final : public PortAttacher {
  public:
    explicit TcxAttacher(const Datapath& datapath) : datapath_(datapath) {}

    std::string_view kind() const override { return "tcx"; }
    Status attach(const std::string& interface, std::uint32_t ifindex) override;
    Status detach(const std::string& interface) override;
    Result<core::PortStatus> inspect(const std::string& interface, std::uint32_t ifindex) override;
    Result<std::vector<std::string>> interfaces() override;
    Result<bool> alive(const std::string& interface) override;

  private:
    struct Hook {
        std::string pin;
        int program;
        int type;
    };
    std::vector<Hook> hooks(const std::string& interface) const;
    // Whether the pinned link is of this device; a dead one is unpinned, an old program replaced.
    Result<bool> repair(const Hook& hook, std::uint32_t ifindex) const;
    Status make(const Hook& hook, std::uint32_t ifindex) const;

    const Datapath& datapath_;
};

}  // namespace raind::bpf
