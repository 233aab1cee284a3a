// Times: the kernel's CLOCK_BOOTTIME for order and time-outs, the wall clock for people and
// records.
#pragma once

#include <cstdint>
#include <string>

namespace raind {

// Nanoseconds of CLOCK_BOOTTIME: the time base of kernel events.
std::uint64_t boottime_ns();

// Nanoseconds since the epoch, UTC.
struct WallTime {
    std::int64_t ns = 0;
    bool is_never() const { return ns == 0; }
    auto operator<=>(const WallTime&) const = default;
};

WallTime wall_now();

// The wall time of a CLOCK_BOOTTIME stamp, by the offset between both clocks now.
WallTime wall_from_boottime(std::uint64_t boottime);

// RFC 3339 with nine digits, in UTC ("...Z"). The time 0 is written "0001-01-01T00:00:00Z" (never).
std::string rfc3339(WallTime time);

}  // namespace raind
