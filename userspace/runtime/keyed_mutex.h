// One mutex per key (a container id): operations on one container exclude each other, those on
// different ones do not. A key costs nothing when nobody holds or waits for it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace raind::runtime {

class KeyedMutex {
  public:
    class Lock {
      public:
        Lock(Lock&& other) noexcept : owner_(other.owner_), key_(std::move(other.key_)) {
            other.owner_ = nullptr;
        }
        Lock& operator=(Lock&&) = delete;
        Lock(const Lock&) = delete;
        Lock& operator=(const Lock&) = delete;
        ~Lock() {
            if (owner_ != nullptr)
                owner_->release(key_);
        }

      private:
        friend class KeyedMutex;
        Lock(KeyedMutex* owner, std::string key) : owner_(owner), key_(std::move(key)) {}
        KeyedMutex* owner_;
        std::string key_;
    };

    Lock lock(const std::string& key) {
        std::unique_lock guard(mutex_);
        freed_.wait(guard, [&] { return !held_.contains(key); });
        held_.insert(key);
        return Lock(this, key);
    }
    std::optional<Lock> try_lock(const std::string& key) {
        const std::lock_guard guard(mutex_);
        if (!held_.insert(key).second)
            return std::nullopt;
        return Lock(this, key);
    }

  private:
    void release(const std::string& key) {
        const std::lock_guard guard(mutex_);
        held_.erase(key);
        freed_.notify_all();
    }
    std::mutex mutex_;  // guards held_
    std::condition_variable freed_;
    std::set<std::string> held_;
};

}  // namespace raind::runtime
