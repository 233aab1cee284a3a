#include "userspace/api/http/limits.h"

namespace raind::api::http {

CallGate::Pass CallGate::enter_short() {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [this] { return free_ > 0; });
    --free_;
    return {this, std::nullopt};
}

std::optional<CallGate::Pass> CallGate::enter_long(const std::string& identity) {
    const std::lock_guard lock(mutex_);
    std::size_t& count = long_[identity];
    if (count >= long_cap_)
        return std::nullopt;
    ++count;
    return Pass(this, identity);
}

void CallGate::leave(const std::optional<std::string>& who) {
    const std::lock_guard lock(mutex_);
    if (!who) {
        ++free_;
        freed_.notify_one();
        return;
    }
    const auto entry = long_.find(*who);
    if (--entry->second == 0)
        long_.erase(entry);
}

}  // namespace raind::api::http
