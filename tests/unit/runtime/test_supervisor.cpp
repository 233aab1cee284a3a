#include <atomic>
#include <chrono>
#include <condition_variable>
#include <doctest/doctest.h>
#include <mutex>

#include "userspace/common/process.h"
#include "userspace/runtime/supervisor.h"

using namespace raind;
using namespace raind::runtime;
using namespace std::chrono_literals;

TEST_CASE("an end is reported, again while the handler is busy, and once more never") {
    std::mutex mutex;
    std::condition_variable told;
    int calls = 0;
    auto supervisor = Supervisor::start([&](const std::string& id) {
        const std::lock_guard lock(mutex);
        CHECK(id == "c1");
        told.notify_all();
        return ++calls < 3 ? Supervisor::Handled::Later : Supervisor::Handled::Done;
    });
    REQUIRE(supervisor.has_value());
    auto child = Child::spawn({.program = "/bin/true", .args = {"true"}});
    REQUIRE(child.has_value());
    REQUIRE((*supervisor)->watch("c1", std::move(*open_pidfd(child->pid()))).has_value());
    std::unique_lock lock(mutex);
    CHECK(told.wait_for(lock, 5s, [&] { return calls == 3; }));
    CHECK_FALSE(told.wait_for(lock, 200ms, [&] { return calls > 3; }));
}
