#include "userspace/common/clock.h"

#include <ctime>
#include <fmt/format.h>

namespace raind {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t read_clock(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return now.tv_sec * kSecond + now.tv_nsec;
}

}  // namespace

std::uint64_t boottime_ns() {
    return static_cast<std::uint64_t>(read_clock(CLOCK_BOOTTIME));
}

WallTime wall_now() {
    return {read_clock(CLOCK_REALTIME)};
}

WallTime wall_from_boottime(std::uint64_t boottime) {
    const std::int64_t offset = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_BOOTTIME);
    return {static_cast<std::int64_t>(boottime) + offset};
}

std::string rfc3339(WallTime time) {
    if (time.is_never())
        return "0001-01-01T00:00:00Z";
    const std::time_t seconds = static_cast<std::time_t>(time.ns / kSecond);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       time.ns % kSecond);
}

}  // namespace raind
