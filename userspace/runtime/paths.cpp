#include "userspace/runtime/paths.h"

namespace raind::runtime {

Status Paths::make() const {
    for (const auto& open :
         {config(), logs(), run(), certificates(), images(), registry_authorities()})
        RAIND_CHECK(make_dirs(open, 0755));
    for (const auto& closed :
         {store(), containers(), volumes(), droplet_state(), config() / "log"}) {
        RAIND_CHECK(make_dirs(closed, 0700));
        RAIND_CHECK(set_mode(closed, 0700));
    }
    return {};
}

}  // namespace raind::runtime
