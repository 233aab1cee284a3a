// ContainerStore (CSM): the containers. Thread-safe; see connection.h for transactions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/core/model.h"
#include "userspace/store/connection.h"

namespace raind::store {

class ContainerStore {
  public:
    explicit ContainerStore(Connection& connection) : connection_(connection) {}

    // AlreadyExists when the id or the name is taken. The identity must be known (IdentityStore).
    Status insert(const core::ContainerRecord& record);
    // NotFound when it is not there.
    Status update(const core::ContainerRecord& record);
    // Removing what is not there is success.
    Status remove(const std::string& id);

    Result<std::optional<core::ContainerRecord>> find(const std::string& id);
    Result<std::optional<core::ContainerRecord>> find_by_name(const std::string& name);
    // A name, an id, or a prefix that only one id has; names win. NotFound else, Conflict when
    // several ids begin so.
    Result<core::ContainerRecord> resolve(const std::string& reference);
    // In order of creation.
    Result<std::vector<core::ContainerRecord>> list();
    Result<bool> image_in_use(const std::string& repository, const std::string& reference);

  private:
    Status write(SqliteStmt& stmt, const core::ContainerRecord& record);
    Result<core::ContainerRecord> read(const SqliteStmt& row);
    template <typename... Values>
    Result<std::vector<core::ContainerRecord>> select(std::string_view tail,
                                                      const Values&... values);

    Connection& connection_;
};

}  // namespace raind::store
