// IdentityStore: the numbers that stand for names in the kernel, and the endpoint counter.
//
// A number is never given to another name: numbers come from a counter that only grows, and
// forgetting a name does not give its number back. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "raind/result.h"

#include "userspace/core/model.h"
#include "userspace/store/connection.h"

namespace raind::store {

enum class IdentityKind {
    Workload,  // one container name: 256 .. 0x00ffffff
    Selector,  // bottle, group, label selector: 0x01......
    Cidr,      // one prefix: 0x02......
    Fqdn,      // one pattern: 0x03......
};

class IdentityStore {
  public:
    explicit IdentityStore(Connection& connection) : connection_(connection) {}

    // The number of a name, given now if it has none.
    Result<core::IdentityId> number_for(IdentityKind kind, const std::string& name);
    Result<std::optional<core::IdentityId>> find(IdentityKind kind, const std::string& name);
    Result<std::optional<std::string>> name_of(core::IdentityId number);
    Result<std::map<std::string, core::IdentityId>> all(IdentityKind kind);
    // Conflict while a container has it. The caller knows that no rule and no flow has it either.
    Status forget(IdentityKind kind, const std::string& name);

    // A number for one start of one container; never repeated, across restarts too.
    Result<core::EndpointId> next_endpoint();
    // The kernel has seen numbers up to this one (a store that was restored from a backup).
    Status raise_endpoint(core::EndpointId seen);

  private:
    // Counts up and gives the new value; the first is `first`.
    Result<std::int64_t> count_up(const char* counter, std::int64_t first, std::int64_t last);

    Connection& connection_;
};

}  // namespace raind::store
