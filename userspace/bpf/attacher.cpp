#include "userspace/bpf/attacher.h"

#include <fmt/format.h>

#include "userspace/bpf/clsact_attacher.h"
#include "userspace/bpf/programs.h"
#include "userspace/bpf/tcx_attacher.h"

namespace raind::bpf {

Result<AttachKind> parse_attach_kind(std::string_view text) {
    if (text == "auto")
        return AttachKind::Auto;
    if (text == "tcx")
        return AttachKind::Tcx;
    if (text == "clsact")
        return AttachKind::Clsact;
    return Error(Errc::InvalidArgument, fmt::format("--attach \"{}\": auto, tcx or clsact", text));
}

Result<Attachers> make_attachers(const Datapath& datapath, AttachKind kind) {
    RAIND_TRY(const bool has_tcx, tcx_supported());
    if (kind == AttachKind::Tcx && !has_tcx)
        return Error(Errc::Unavailable, "--attach tcx: this kernel has no tcx (6.6 has)");
    auto tcx = std::make_unique<TcxAttacher>(datapath);
    auto clsact = std::make_unique<ClsactAttacher>(datapath);
    if (has_tcx && kind != AttachKind::Clsact)
        return Attachers{.used = std::move(tcx), .other = std::move(clsact)};
    return Attachers{.used = std::move(clsact), .other = std::move(tcx)};
}

}  // namespace raind::bpf
