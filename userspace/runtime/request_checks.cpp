#include "userspace/runtime/request_checks.h"

#include <fmt/format.h>

#include "userspace/common/text.h"

namespace raind::runtime {
namespace {

constexpr std::size_t kMaxText = 128U << 10;  // one argument: MAX_ARG_STRLEN of execve(2)
constexpr std::size_t kMaxWords = 4096;

}  // namespace

Status check_words(const std::vector<std::string>& words, std::string_view what) {
    if (words.size() > kMaxWords)
        return Error(Errc::InvalidArgument, fmt::format("{}: more than {} words", what, kMaxWords));
    for (const std::string& word : words)
        if (word.size() > kMaxText || word.find('\0') != std::string::npos)
            return Error(Errc::InvalidArgument,
                         fmt::format("{}: a word is too long or holds a NUL byte", what));
    return {};
}

Status check_env(const std::vector<std::string>& env) {
    RAIND_CHECK(check_words(env, "env"));
    for (const std::string& entry : env) {
        const auto equals = entry.find('=');
        if (equals == std::string::npos || equals == 0)
            return Error(
                Errc::InvalidArgument,
                fmt::format("invalid env: \"{}\", required format: KEY=VALUE", printable(entry)));
    }
    return {};
}

Status check_labels(const std::map<std::string, std::string>& labels) {
    for (const auto& [key, value] : labels)
        if (key.empty() || key.size() > 255 || value.size() > 4096 || printable(key) != key)
            return Error(Errc::InvalidArgument,
                         fmt::format("invalid label: \"{}\"", printable(key)));
    return {};
}

}  // namespace raind::runtime
