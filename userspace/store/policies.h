// PolicyStore (NPM): the staged and the committed policies with what belongs to them. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/core/model.h"
#include "userspace/store/connection.h"

namespace raind::store {

class PolicyStore {
  public:
    explicit PolicyStore(Connection& connection) : connection_(connection) {}

    Result<core::PolicyState> load();
    // Makes the store equal to `state` in one transaction; only rows that differ are written.
    Status save(const core::PolicyState& state);

    // The small changes, without reading the whole set: a policy of the staged view is added after
    // the last one, or replaced where it stands.
    Status put_staged(const core::PolicyRecord& policy);
    Status erase_staged(const std::string& id);
    Status set_staged_mode(std::optional<core::NsMode> mode);

  private:
    Result<std::vector<core::PolicyRecord>> load_view(const char* view);
    Status save_view(const char* view, const std::vector<core::PolicyRecord>& policies);
    Status write(const char* view, std::int64_t position, const core::PolicyRecord& policy);
    Status erase(const char* view, const std::string& id);

    Connection& connection_;
};

}  // namespace raind::store
