#include "userspace/runtime/subordinate_ids.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "userspace/common/fs.h"
#include "userspace/common/text.h"
#include "userspace/common/units.h"

namespace raind::runtime {
namespace {

struct Entry {
    std::int64_t first = 0;
    std::int64_t count = 0;
    bool operator==(const Entry&) const = default;
};

// subuid(5): name:first:count, the first entry of the name counts.
Result<std::optional<Entry>> find_entry(std::string_view text, std::string_view file) {
    for (const std::string& line : split(text, '\n')) {
        const auto fields = split(trim(line), ':');
        if (fields[0] != "raind")
            continue;
        if (fields.size() != 3)
            return Error(Errc::InvalidArgument, fmt::format("{}: malformed entry for raind", file));
        Entry entry;
        RAIND_TRY(entry.first,
                  parse_number(fields[1], 1, UINT32_MAX, fmt::format("{}: first id", file)));
        RAIND_TRY(entry.count,
                  parse_number(fields[2], 1, UINT32_MAX, fmt::format("{}: number of ids", file)));
        return std::optional<Entry>(entry);
    }
    return std::optional<Entry>();
}

}  // namespace

Result<core::IdRangePlan> plan_from(std::string_view subuid, std::string_view subgid) {
    core::IdRangePlan plan;
    RAIND_TRY(const auto users, find_entry(subuid, "/etc/subuid"));
    RAIND_TRY(const auto groups, find_entry(subgid, "/etc/subgid"));
    if (!users && !groups)
        return plan;
    if (users != groups)
        return Error(Errc::InvalidArgument,
                     "/etc/subuid and /etc/subgid: the entries for raind differ");
    if (users->count < plan.size || users->first + users->count > UINT32_MAX)
        return Error(
            Errc::InvalidArgument,
            fmt::format("/etc/subuid: the range of raind holds no {} ids for one container",
                        plan.size));
    plan.first = static_cast<std::uint32_t>(users->first);
    plan.count =
        std::min<std::uint32_t>(plan.count, static_cast<std::uint32_t>(users->count) / plan.size);
    return plan;
}

Result<core::IdRangePlan> subordinate_ids() {
    return plan_from(read_file("/etc/subuid").value_or(""), read_file("/etc/subgid").value_or(""));
}

}  // namespace raind::runtime
