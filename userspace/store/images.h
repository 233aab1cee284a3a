// ImageStore (ILM): the images by repository and reference. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/core/model.h"
#include "userspace/store/connection.h"

namespace raind::store {

class ImageStore {
  public:
    explicit ImageStore(Connection& connection) : connection_(connection) {}

    // Replaces what the reference meant before.
    Status put(const core::ImageRecord& record);
    Status remove(const std::string& repository, const std::string& reference);
    Result<std::optional<core::ImageRecord>> find(const std::string& repository,
                                                  const std::string& reference);
    // By repository, then reference.
    Result<std::vector<core::ImageRecord>> list();

  private:
    Result<core::ImageRecord> read(const SqliteStmt& row);

    Connection& connection_;
};

}  // namespace raind::store
