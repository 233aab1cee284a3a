// IpamStore: pools, addresses and id ranges. What is chosen is decided in core; the tables refuse a
// second owner. A released row stays, because the longest-released address is handed out first.
// Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/core/model.h"
#include "userspace/store/connection.h"

namespace raind::store {

class IpamStore {
  public:
    explicit IpamStore(Connection& connection) : connection_(connection) {}

    // AlreadyExists when the interface, the prefix or the number is taken.
    Status insert_pool(const core::PoolRecord& pool);
    Status update_pool(const core::PoolRecord& pool);
    // Conflict while a container has an address of it. Its released rows go with it.
    Status remove_pool(const std::string& interface);
    Result<std::optional<core::PoolRecord>> find_pool(const std::string& interface);
    // By number.
    Result<std::vector<core::PoolRecord>> pools();

    // The addresses of one pool that were ever given out, assigned and released.
    Result<std::vector<core::AddressAllocation>> allocations(const std::string& interface);
    Result<std::optional<core::AddressAllocation>> allocation_of(const std::string& container_id);
    // AlreadyExists when the address has an owner, or the container an address.
    Status assign(const core::AddressAllocation& allocation);
    // Nothing to release is success.
    Status release(const std::string& container_id, WallTime when);

    Result<std::vector<core::RangeAllocation>> ranges();
    // AlreadyExists when the range has an owner, or the container a range.
    Status assign_range(const core::RangeAllocation& allocation);
    Status release_range(const std::string& container_id, WallTime when);

  private:
    Result<core::PoolRecord> read_pool(const SqliteStmt& row);
    Result<core::AddressAllocation> read_allocation(const SqliteStmt& row);

    Connection& connection_;
};

}  // namespace raind::store
