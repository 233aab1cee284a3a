#include "userspace/flow/timestamp.h"

#include <cstdlib>
#include <ctime>
#include <fmt/format.h>

namespace raind::flow {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::size_t kFraction = 20;  // where the nine digits begin: "2026-03-02T10:02:14."
constexpr std::size_t kDigits = 9;

}  // namespace

void Timestamper::fill(std::int64_t second) {
    const auto seconds = static_cast<std::time_t>(second);
    std::tm parts{};
    localtime_r(&seconds, &parts);
    text_ = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.000000000", parts.tm_year + 1900,
                        parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    const long minutes = std::labs(parts.tm_gmtoff) / 60;
    if (minutes == 0)
        text_ += 'Z';
    else
        text_ += fmt::format("{}{:02}:{:02}", parts.tm_gmtoff < 0 ? '-' : '+', minutes / 60,
                             minutes % 60);
    second_ = second;
    filled_ = true;
}

std::string_view Timestamper::format(WallTime time) {
    std::int64_t second = time.ns / kSecond;
    std::int64_t rest = time.ns % kSecond;
    if (rest < 0) {
        rest += kSecond;
        --second;
    }
    if (!filled_ || second != second_)
        fill(second);
    for (std::size_t i = kDigits; i-- > 0; rest /= 10)
        text_[kFraction + i] = static_cast<char>('0' + rest % 10);
    return text_;
}

}  // namespace raind::flow
