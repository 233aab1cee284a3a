// OperationStore: changes in progress. An intent is written before the first effect of a change and
// removed after its last; what is found at start was interrupted, and is finished or undone by the
// one who knows its kind. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/core/model.h"
#include "userspace/store/connection.h"

namespace raind::store {

class OperationStore {
  public:
    explicit OperationStore(Connection& connection) : connection_(connection) {}

    // Gives the id. `payload` is JSON whose meaning depends on the kind.
    Result<std::int64_t> begin(const std::string& kind, const std::string& object,
                               const std::string& payload);
    // Before the step has any effect. The payload is replaced when there is a new one.
    Status step(std::int64_t id, const std::string& step,
                const std::optional<std::string>& payload = std::nullopt);
    // Done or undone: in the same transaction as the last change of the records, where there is
    // one.
    Status finish(std::int64_t id);
    // Oldest first.
    Result<std::vector<core::OperationRecord>> pending();

  private:
    Connection& connection_;
};

}  // namespace raind::store
