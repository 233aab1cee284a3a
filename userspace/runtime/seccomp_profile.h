// The default seccomp profile as the OCI object that goes into config.json: an allow list,
// everything else EPERM. See docs/design/confinement.md for what stays denied and why.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace raind::runtime {

struct SeccompOptions {
    bool packet_sockets = false;  // only with CAP_NET_RAW
};

nlohmann::json default_seccomp_profile(const SeccompOptions& options);

}  // namespace raind::runtime
