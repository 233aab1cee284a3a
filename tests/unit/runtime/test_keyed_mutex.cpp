#include <doctest/doctest.h>
#include <thread>
#include <vector>

#include "userspace/runtime/keyed_mutex.h"

using raind::runtime::KeyedMutex;

TEST_CASE("one holder per key, other keys free") {
    KeyedMutex mutex;
    const auto a = mutex.lock("a");
    CHECK_FALSE(mutex.try_lock("a").has_value());
    CHECK(mutex.try_lock("b").has_value());
    CHECK(mutex.try_lock("b").has_value());
}

TEST_CASE("waiting threads go one after the other") {
    KeyedMutex mutex;
    int value = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 8; ++i)
            threads.emplace_back([&] {
                for (int n = 0; n < 1000; ++n) {
                    const auto lock = mutex.lock("k");
                    value = value + 1;
                }
            });
    }
    CHECK(value == 8000);
}
