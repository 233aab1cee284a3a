#include <atomic>
#include <doctest/doctest.h>
#include <thread>

#include "userspace/image/leases.h"

using namespace raind::image;

TEST_CASE("leases: held until the last one goes") {
    const auto table = std::make_shared<LeaseTable>();
    auto one = table->take();
    auto two = table->take();
    one->hold("a");
    one->hold("a");
    two->hold("a");
    one.reset();
    CHECK(table->is_held("a"));
    two.reset();
    CHECK_FALSE(table->is_held("a"));
}

TEST_CASE("leases: a failed pull gives up what only it needs") {
    const auto table = std::make_shared<LeaseTable>();
    const auto failed = table->take();
    const auto other = table->take();
    failed->published("mine");
    failed->published("shared");
    failed->hold("found");
    other->hold("shared");
    CHECK(failed->give_up().first == std::vector<std::string>{"mine"});
    CHECK(failed->give_up().first.empty());
}

TEST_CASE("leases: what another pull claimed stays") {
    const auto table = std::make_shared<LeaseTable>();
    const auto failed = table->take();
    failed->published("a");
    {
        const auto other = table->take();
        other->hold("a");
        other->claim();
    }
    CHECK(failed->give_up().first.empty());
}

TEST_CASE("leases: one works, the others wait") {
    const auto table = std::make_shared<LeaseTable>();
    std::atomic<int> inside = 0;
    std::atomic<int> most = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                for (int round = 0; round < 50; ++round) {
                    const auto lease = table->take();
                    const auto work = lease->work_on("layer", {});
                    const int now = ++inside;
                    most = std::max(most.load(), now);
                    --inside;
                }
            });
        }
    }
    CHECK(most == 1);
    const auto holder = table->take();
    const auto held = holder->work_on("layer", {});
    std::stop_source stop;
    stop.request_stop();
    const auto waiter = table->take();
    CHECK_FALSE(waiter->work_on("layer", stop.get_token()).has_value());
}
