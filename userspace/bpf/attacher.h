// PortAttacher: puts raind_from and raind_to on the host side of a veth and keeps them there by
// pins. Interface indexes are those of the calling thread's network namespace: call it inside the
// namespace of the container network, one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

#include "userspace/bpf/datapath.h"
#include "userspace/core/backend.h"

namespace raind::bpf {

class PortAttacher {
  public:
    virtual ~PortAttacher() = default;
    virtual std::string_view kind() const = 0;
    // Both programs, pinned, and read back that ours run first. Repeating it repairs: what is dead
    // or runs another build of the program is replaced. On failure nothing stays attached that was
    // not attached before.
    virtual Status attach(const std::string& interface, std::uint32_t ifindex) = 0;
    // Absent is success.
    virtual Status detach(const std::string& interface) = 0;
    virtual Result<core::PortStatus> inspect(const std::string& interface,
                                             std::uint32_t ifindex) = 0;
    // Interfaces with pins of ours; dead ones (their device is gone) included.
    virtual Result<std::vector<std::string>> interfaces() = 0;
    // Whether the device that the pins are of is still there.
    virtual Result<bool> alive(const std::string& interface) = 0;
};

// Auto: tcx where the kernel has it (6.6), else clsact.
enum class AttachKind { Auto, Tcx, Clsact };
Result<AttachKind> parse_attach_kind(std::string_view text);

// The one that is used, and the other one: a port that an earlier daemon attached by it is moved.
struct Attachers {
    std::unique_ptr<PortAttacher> used;
    std::unique_ptr<PortAttacher> other;
};
Result<Attachers> make_attachers(const Datapath& datapath, AttachKind kind);

}  // namespace raind::bpf
