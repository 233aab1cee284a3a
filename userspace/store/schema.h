// The tables of the state store, as the list of steps that lead to them. A step that was released
// is never changed: a change is a new step. The tables keep the names of the documented stores
// (CSM containers, ILM images, IPAM, NPM policies).
#pragma once

#include <vector>

#include "userspace/store/sqlite.h"

namespace raind::store {

const std::vector<Migration>& schema();

}  // namespace raind::store
