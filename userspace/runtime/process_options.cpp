#include "userspace/runtime/process_options.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fmt/format.h>

#include "userspace/common/json.h"
#include "userspace/common/text.h"
#include "userspace/common/units.h"

namespace raind::runtime {
namespace {

constexpr std::size_t kMaxName = 256;
constexpr std::int64_t kLastId = 65535;  // every container has 65 536 ids

bool is_number(std::string_view text) {
    return !text.empty() &&
           std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

bool is_name(std::string_view text) {
    return text.size() <= kMaxName && !text.starts_with('-') &&
           std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c != 0x7f; });
}

Error bad_user(const std::string& text) {
    return Error(Errc::InvalidArgument,
                 fmt::format("invalid user: \"{}\" (USER or USER:GROUP)", printable(text)));
}

// What follows RTMIN or RTMAX: nothing, or the sign and a number that stays inside.
bool is_offset(std::string_view rest, char sign) {
    if (rest.empty())
        return true;
    return rest[0] == sign &&
           parse_number(rest.substr(1), 0, SIGRTMAX - SIGRTMIN, "signal").has_value();
}

bool is_signal(std::string_view text) {
    if (is_number(text))
        return parse_number(text, 1, SIGRTMAX, "signal").has_value();
    std::string upper(text);
    std::ranges::transform(upper, upper.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    std::string_view bare = upper;
    if (bare.starts_with("SIG"))
        bare.remove_prefix(3);
    if (bare.starts_with("RTMIN"))
        return is_offset(bare.substr(5), '+');
    if (bare.starts_with("RTMAX"))
        return is_offset(bare.substr(5), '-');
    for (int number = 1; number < SIGRTMIN; ++number)
        if (const char* known = sigabbrev_np(number); known != nullptr && bare == known)
            return true;
    return false;
}

}  // namespace

Status check_user(const std::string& text) {
    const auto parts = split(text, ':');
    if (text.empty())
        return {};
    if (parts.size() > 2 || (parts.size() == 2 && parts[1].empty()))
        return bad_user(text);
    for (const std::string& part : parts) {
        if (!is_name(part))
            return bad_user(text);
        if (is_number(part))
            RAIND_CHECK(
                parse_number(part, 0, kLastId, fmt::format("user \"{}\": id", printable(text))));
    }
    return {};
}

Result<Json> make_user(const std::string& text) {
    RAIND_CHECK(check_user(text));
    const auto parts = split(text, ':');
    // The numbers that are known without the image, for tools that do not know the look-up.
    const auto known = [&](std::size_t part) {
        return parts.size() > part ? parse_number(parts[part], 0, kLastId, "id").value_or(0) : 0;
    };
    return Json{{"uid", known(0)}, {"gid", known(1)}, {"umask", 022}, {"io.raind.lookup", text}};
}

Status check_signal(const std::string& text) {
    if (!is_signal(text))
        return Error(Errc::InvalidArgument, fmt::format("invalid signal: \"{}\"", printable(text)));
    return {};
}

}  // namespace raind::runtime
