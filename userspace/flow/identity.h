// IdentityTable: who the numbers in kernel events are. Snapshots of it are immutable, so a record
// is made without a lock held and names the incarnation that had the endpoint id, not its
// successor.
//
// Ended endpoints and removed rules are kept for kRetention, because their records may still be on
// the way. Any thread may change the table; changes are rare (container start and stop, commit) and
// copy the maps, whose values are shared.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "userspace/common/addr.h"
#include "userspace/common/clock.h"

namespace raind::flow {

// One start of one container.
struct Endpoint {
    std::uint32_t ep_id = 0;
    std::uint32_t identity = 0;
    std::string container_id;   // 12 characters
    std::string container_uid;  // 26 characters
    std::string name;
    std::string spiffe_id;
    std::string veth;
    IpAddress ip4;  // zero: none
    IpAddress ip6;  // zero: none
};

// Rule number of the kernel to the policy that a user wrote. Reserved numbers are not in here.
struct Rule {
    std::uint32_t number = 0;
    std::string policy_id;
};

class Snapshot {
  public:
    const Endpoint* by_ep(std::uint32_t ep_id) const;
    // The endpoint that had the address at that CLOCK_BOOTTIME. For the far side of a packet that
    // was refused before it was looked up; never for the sender, whose address is only a claim.
    const Endpoint* by_address(const IpAddress& address, std::uint64_t at) const;
    // nullptr: a number nobody told us.
    const std::string* policy_id(std::uint32_t rule) const;

  private:
    friend class IdentityTable;
    struct Held {
        std::shared_ptr<const Endpoint> endpoint;
        std::uint64_t since = 0;
        std::uint64_t until = 0;  // 0: in use
    };
    struct HeldRule {
        std::shared_ptr<const std::string> policy_id;
        std::uint64_t until = 0;  // 0: committed
    };
    std::unordered_map<std::uint32_t, Held> endpoints_;
    std::multimap<IpAddress, std::uint32_t> addresses_;
    std::shared_ptr<const std::unordered_map<std::uint32_t, HeldRule>> rules_ =
        std::make_shared<const std::unordered_map<std::uint32_t, HeldRule>>();
};

class IdentityTable {
  public:
    static constexpr std::uint64_t kRetention = 120'000'000'000;  // ns

    // Call before the endpoint is written into the maps: its first packet may follow at once.
    void add(Endpoint endpoint) { add(std::move(endpoint), boottime_ns()); }
    // `since` (CLOCK_BOOTTIME): 0 for endpoints that were there before this process.
    void add(Endpoint endpoint, std::uint64_t since);
    // The endpoint is gone from the maps.
    void retire(std::uint32_t ep_id);
    // A container got another name.
    void rename(std::uint32_t ep_id, std::string name);
    // The rules of the set that is being committed: call before the commit. Others stay known for
    // kRetention.
    void set_rules(const std::vector<Rule>& rules);

    std::shared_ptr<const Snapshot> snapshot() const;

  private:
    void forget_old(Snapshot& next, std::uint64_t now) const;

    mutable std::mutex mutex_;  // guards current_
    std::shared_ptr<const Snapshot> current_ = std::make_shared<const Snapshot>();
};

}  // namespace raind::flow
