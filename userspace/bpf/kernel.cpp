#include "userspace/bpf/kernel.h"

#include <charconv>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <utility>

namespace raind::bpf {

namespace {

constexpr std::pair<unsigned, unsigned> kOldest{6, 1};

}  // namespace

Status require_release(std::string_view release) {
    std::pair<unsigned, unsigned> found{0, 0};
    const char* end = release.data() + release.size();
    const auto major = std::from_chars(release.data(), end, found.first);
    if (major.ec == std::errc() && major.ptr != end && *major.ptr == '.')
        std::from_chars(major.ptr + 1, end, found.second);
    if (found < kOldest)
        return Error(Errc::Unavailable,
                     fmt::format("kernel {} is too old: {}.{} or newer is needed", release,
                                 kOldest.first, kOldest.second));
    return {};
}

Status require_kernel() {
    utsname name{};
    if (::uname(&name) != 0)
        return os_error("ask for the kernel's release");
    return require_release(name.release);
}

}  // namespace raind::bpf
