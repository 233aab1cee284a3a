// Guard owns the guard table of one network namespace: puts it there, tells whether it is still as
// it was put, removes it. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "userspace/common/netns.h"
#include "userspace/netfilter/rules.h"

namespace raind::netfilter {

enum class GuardState { Intact, Changed, Absent };

class Guard {
  public:
    static Result<std::unique_ptr<Guard>> open(const NetnsRef& netns);

    // Puts the table there in one transaction, its counts going on; nothing is touched when the
    // table is intact and the same was asked for before.
    Status ensure(const GuardSpec& spec);
    // Compared with what the kernel showed right after ensure(). Changed, before the first
    // ensure().
    Result<GuardState> verify();
    Status remove(std::string_view instance);
    // In the order of counter_names(); empty when the table is not there.
    Result<std::vector<GuardCounter>> counters(std::string_view instance);
    // Guard tables of other instances in the same namespace.
    Result<std::vector<std::string>> other_tables(std::string_view instance);

  private:
    explicit Guard(NetnsRef netns) : netns_(std::move(netns)) {}
    Result<GuardState> verify_locked();
    Result<std::string> listing(std::string_view instance);

    NetnsRef netns_;
    std::mutex mutex_;  // guards the two below and the order of changes
    std::optional<GuardSpec> spec_;
    std::string listing_;  // of the table as it was put there
};

}  // namespace raind::netfilter
