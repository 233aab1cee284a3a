#include "userspace/common/ifname.h"

#include <algorithm>

namespace raind {

Status check_interface_name(std::string_view name) {
    constexpr std::size_t kLongest = 15;  // IFNAMSIZ with the zero byte
    const auto bad = [](char c) {
        return c <= ' ' || c >= 0x7f ||
               std::string_view("/:\"'\\*").find(c) != std::string_view::npos;
    };
    if (name.empty() || name.size() > kLongest || name == "." || name == ".." ||
        std::any_of(name.begin(), name.end(), bad))
        return Error(Errc::InvalidArgument, "not a name for a network interface");
    return {};
}

}  // namespace raind
