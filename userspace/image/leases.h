// What running pulls hold, so that removal and failed pulls take away nothing that another one
// needs.
//
// A pull takes a Lease and holds every blob and layer it relies on by name. What it published
// itself is unclaimed until a pull that holds it succeeds; when a pull fails, it gives up what is
// unclaimed and held by nobody else. Thread-safe; the mutex guards all three tables.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "raind/result.h"

namespace raind::image {

class Lease;

class LeaseTable : public std::enable_shared_from_this<LeaseTable> {
  public:
    std::shared_ptr<Lease> take();
    // For as long as the lock lives no name becomes held or free.
    std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }
    // The lock is held.
    bool is_held(const std::string& name) const { return held_.contains(name); }

  private:
    friend class Lease;
    std::mutex mutex_;
    std::map<std::string, int> held_;
    std::set<std::string> unclaimed_;
    std::map<std::string, std::shared_ptr<std::timed_mutex>> work_;
};

class Lease {
  public:
    explicit Lease(std::shared_ptr<LeaseTable> table) : table_(std::move(table)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease();

    void hold(const std::string& name);
    // Held, and ours to give up should the pull fail.
    void published(const std::string& name);
    // The pull succeeded: everything held is there to stay.
    void claim();
    // The pull failed: the names that nobody else relies on, still locked by the returned lock.
    std::pair<std::vector<std::string>, std::unique_lock<std::mutex>> give_up();
    // Only one pull at a time makes a blob or layer; the others wait and find it.
    Result<std::unique_lock<std::timed_mutex>> work_on(const std::string& name,
                                                       const std::stop_token& stop);

  private:
    std::shared_ptr<LeaseTable> table_;
    std::set<std::string> names_;
    std::vector<std::shared_ptr<std::timed_mutex>> mutexes_;
};

}  // namespace raind::image
