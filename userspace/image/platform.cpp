#include "userspace/image/platform.h"

#include <algorithm>
#include <array>
#include <sys/utsname.h>
#include <utility>

namespace raind::image {

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kArchNames = {{
    {"x86_64", "amd64"},
    {"x86-64", "amd64"},
    {"aarch64", "arm64"},
    {"i686", "386"},
    {"armv7l", "arm"},
    {"loongarch64", "loong64"},
}};

std::string go_arch(std::string_view name) {
    for (const auto& [kernel, go] : kArchNames) {
        if (name == kernel)
            return std::string(go);
    }
    return std::string(name);
}

Status check_word(std::string_view what, std::string_view word) {
    const bool good = !word.empty() && word.size() <= 32 && word.front() != '.' &&
                      std::all_of(word.begin(), word.end(), [](char c) {
                          return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
                                 c == '-' || c == '.';
                      });
    if (good)
        return {};
    return Error(Errc::InvalidArgument,
                 std::string(what) + " of a platform is a word of a-z, 0-9, '_', '-', '.'");
}

}  // namespace

Platform Platform::host() {
    utsname name{};
    ::uname(&name);
    return {.os = "linux", .arch = go_arch(name.machine), .variant = ""};
}

Result<Platform> Platform::from(std::string_view os, std::string_view arch) {
    Platform platform = host();
    if (!os.empty()) {
        RAIND_CHECK(check_word("os", os));
        platform.os = os;
    }
    if (!arch.empty()) {
        const auto slash = arch.find('/');
        const auto name = arch.substr(0, slash);
        RAIND_CHECK(check_word("architecture", name));
        platform.arch = go_arch(name);
        if (slash != std::string_view::npos) {
            RAIND_CHECK(check_word("variant", arch.substr(slash + 1)));
            platform.variant = arch.substr(slash + 1);
        }
    }
    return platform;
}

std::string Platform::str() const {
    return variant.empty() ? os + "/" + arch : os + "/" + arch + "/" + variant;
}

}  // namespace raind::image
