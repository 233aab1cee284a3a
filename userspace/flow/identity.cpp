#include "userspace/flow/identity.h"

#include <utility>

namespace raind::flow {

const Endpoint* Snapshot::by_ep(std::uint32_t ep_id) const {
    const auto it = endpoints_.find(ep_id);
    return it == endpoints_.end() ? nullptr : it->second.endpoint.get();
}

const Endpoint* Snapshot::by_address(const IpAddress& address, std::uint64_t at) const {
    const auto [first, last] = addresses_.equal_range(address);
    for (auto it = first; it != last; ++it) {
        const Held& held = endpoints_.at(it->second);
        if (held.since <= at && (held.until == 0 || at < held.until))
            return held.endpoint.get();
    }
    return nullptr;
}

const std::string* Snapshot::policy_id(std::uint32_t rule) const {
    const auto it = rules_->find(rule);
    return it == rules_->end() ? nullptr : it->second.policy_id.get();
}

void IdentityTable::add(Endpoint endpoint, std::uint64_t since) {
    const std::uint64_t now = boottime_ns();
    const std::lock_guard lock(mutex_);
    auto next = std::make_shared<Snapshot>(*current_);
    forget_old(*next, now);
    const std::uint32_t ep_id = endpoint.ep_id;
    std::erase_if(next->addresses_, [&](const auto& entry) { return entry.second == ep_id; });
    for (const IpAddress& address : {endpoint.ip4, endpoint.ip6})
        if (!address.is_zero())
            next->addresses_.emplace(address, ep_id);
    next->endpoints_[ep_id] = {std::make_shared<const Endpoint>(std::move(endpoint)), since, 0};
    current_ = std::move(next);
}

void IdentityTable::retire(std::uint32_t ep_id) {
    const std::uint64_t now = boottime_ns();
    const std::lock_guard lock(mutex_);
    auto next = std::make_shared<Snapshot>(*current_);
    forget_old(*next, now);
    if (const auto it = next->endpoints_.find(ep_id);
        it != next->endpoints_.end() && it->second.until == 0)
        it->second.until = now;
    current_ = std::move(next);
}

void IdentityTable::rename(std::uint32_t ep_id, std::string name) {
    const std::lock_guard lock(mutex_);
    auto next = std::make_shared<Snapshot>(*current_);
    if (const auto it = next->endpoints_.find(ep_id); it != next->endpoints_.end()) {
        Endpoint renamed = *it->second.endpoint;
        renamed.name = std::move(name);
        it->second.endpoint = std::make_shared<const Endpoint>(std::move(renamed));
    }
    current_ = std::move(next);
}

void IdentityTable::set_rules(const std::vector<Rule>& rules) {
    const std::uint64_t now = boottime_ns();
    const std::lock_guard lock(mutex_);
    auto next = std::make_shared<Snapshot>(*current_);
    auto table = std::make_shared<std::unordered_map<std::uint32_t, Snapshot::HeldRule>>();
    for (const Rule& rule : rules)
        (*table)[rule.number] = {std::make_shared<const std::string>(rule.policy_id), 0};
    for (const auto& [number, held] : *current_->rules_) {
        const std::uint64_t until = held.until == 0 ? now : held.until;
        if (now - until < kRetention)
            table->try_emplace(number, Snapshot::HeldRule{held.policy_id, until});
    }
    next->rules_ = std::move(table);
    forget_old(*next, now);
    current_ = std::move(next);
}

void IdentityTable::forget_old(Snapshot& next, std::uint64_t now) const {
    std::erase_if(next.endpoints_, [&](const auto& entry) {
        return entry.second.until != 0 && now - entry.second.until >= kRetention;
    });
    std::erase_if(next.addresses_,
                  [&](const auto& entry) { return !next.endpoints_.contains(entry.second); });
}

std::shared_ptr<const Snapshot> IdentityTable::snapshot() const {
    const std::lock_guard lock(mutex_);
    return current_;
}

}  // namespace raind::flow
