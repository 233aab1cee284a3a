#include "userspace/image/leases.h"

#include <chrono>

namespace raind::image {

std::shared_ptr<Lease> LeaseTable::take() {
    return std::make_shared<Lease>(shared_from_this());
}

Lease::~Lease() {
    const auto guard = table_->lock();
    for (const std::string& name : names_) {
        const auto held = table_->held_.find(name);
        if (held != table_->held_.end() && --held->second == 0)
            table_->held_.erase(held);
    }
    mutexes_.clear();
    std::erase_if(table_->work_, [](const auto& entry) { return entry.second.use_count() == 1; });
}

void Lease::hold(const std::string& name) {
    const auto guard = table_->lock();
    if (names_.insert(name).second)
        ++table_->held_[name];
}

void Lease::published(const std::string& name) {
    hold(name);
    const auto guard = table_->lock();
    table_->unclaimed_.insert(name);
}

void Lease::claim() {
    const auto guard = table_->lock();
    for (const std::string& name : names_)
        table_->unclaimed_.erase(name);
}

std::pair<std::vector<std::string>, std::unique_lock<std::mutex>> Lease::give_up() {
    auto guard = table_->lock();
    std::vector<std::string> names;
    for (const std::string& name : names_) {
        if (table_->unclaimed_.contains(name) && table_->held_[name] == 1) {
            table_->unclaimed_.erase(name);
            names.push_back(name);
        }
    }
    return {std::move(names), std::move(guard)};
}

Result<std::unique_lock<std::timed_mutex>> Lease::work_on(const std::string& name,
                                                          const std::stop_token& stop) {
    std::shared_ptr<std::timed_mutex> mutex;
    {
        const auto guard = table_->lock();
        auto& slot = table_->work_[name];
        if (!slot)
            slot = std::make_shared<std::timed_mutex>();
        mutex = slot;
        mutexes_.push_back(mutex);
    }
    std::unique_lock work(*mutex, std::defer_lock);
    while (!work.try_lock_for(std::chrono::milliseconds(100))) {
        if (stop.stop_requested())
            return Error(Errc::Conflict, "stopped");
    }
    return work;
}

}  // namespace raind::image
