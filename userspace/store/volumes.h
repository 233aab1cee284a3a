// VolumeStore: the named volumes, and which containers they belong to. Thread-safe; see
// connection.h for transactions.
//
// A user is a container whose record exists: its rows go with it, and a volume that has one cannot
// be removed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/core/model.h"
#include "userspace/store/connection.h"

namespace raind::store {

class VolumeStore {
  public:
    explicit VolumeStore(Connection& connection) : connection_(connection) {}

    // AlreadyExists when the name is taken.
    Status insert(const core::VolumeRecord& record);
    // NotFound when it is not there.
    Status set_state(const std::string& name, core::VolumeState state);
    // Removing what is not there is success; Conflict while it has users.
    Status remove(const std::string& name);
    Result<std::optional<core::VolumeRecord>> find(const std::string& name);
    // By name.
    Result<std::vector<core::VolumeRecord>> list();

    // Both must exist; a second time changes nothing.
    Status add_user(const std::string& volume, const std::string& container_id);
    // Container ids, in their order.
    Result<std::vector<std::string>> users(const std::string& volume);

  private:
    Result<core::VolumeRecord> read(const SqliteStmt& row);

    Connection& connection_;
};

}  // namespace raind::store
