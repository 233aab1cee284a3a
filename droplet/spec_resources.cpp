// linux.resources of config.json as the files of a v2 cgroup (one table, one place).
#include <array>
#include <cmath>

#include "droplet/spec_reader.h"

namespace raind::droplet {

namespace {

constexpr std::int64_t kAny = INT64_MAX;

std::string or_max(std::int64_t value) {
    return value < 0 ? "max" : std::to_string(value);
}

void add(Spec& spec, const std::string& key, std::string file, std::string value) {
    spec.cgroup_settings.push_back({key, std::move(file), std::move(value)});
}

// Part `key` of the resources as a reader, or nothing.
Result<std::optional<JsonReader>> part(const JsonReader& reader, std::string_view key) {
    const Json* object = reader.child(key);
    if (object == nullptr)
        return std::optional<JsonReader>();
    JsonReader out(*object, reader.path_of(key));
    RAIND_CHECK(out.expect_object());
    return std::optional<JsonReader>(std::move(out));
}

Status read_memory(const JsonReader& memory, Spec& spec) {
    RAIND_TRY(const std::int64_t limit, memory.integer("limit", -1, kAny, 0));
    RAIND_TRY(const std::int64_t reservation, memory.integer("reservation", -1, kAny, 0));
    RAIND_TRY(const std::int64_t swap, memory.integer("swap", -1, kAny, 0));
    RAIND_TRY(const bool check, memory.boolean("checkBeforeUpdate", false));
    if (limit != 0)
        add(spec, memory.path_of("limit"), "memory.max", or_max(limit));
    if (reservation != 0)
        add(spec, memory.path_of("reservation"), "memory.low", or_max(reservation));
    if (check && limit > 0)
        spec.memory_check_limit = limit;
    if (swap == 0)
        return {};
    if (swap > 0 && limit <= 0)
        return invalid(memory.path_of("swap"), "needs memory.limit");
    if (swap > 0 && swap < limit)
        return invalid(memory.path_of("swap"), "is below memory.limit");
    add(spec, memory.path_of("swap"), "memory.swap.max", swap < 0 ? "max" : or_max(swap - limit));
    return {};
}

std::int64_t weight_of_shares(std::int64_t shares) {
    const double l = std::log2(
        static_cast<double>(std::min<std::int64_t>(std::max<std::int64_t>(shares, 2), 262144)));
    const double weight = std::pow(10.0, (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0);
    return std::min<std::int64_t>(static_cast<std::int64_t>(std::ceil(weight)), 10000);
}

Status read_cpu(const JsonReader& cpu, Spec& spec) {
    for (const std::string_view key : {"realtimeRuntime", "realtimePeriod"}) {
        RAIND_TRY(const std::int64_t value, cpu.integer(key, -1, kAny, 0));
        if (value != 0)
            return invalid(cpu.path_of(key), "does not exist in cgroup v2");
    }
    RAIND_TRY(const std::int64_t shares, cpu.integer("shares", 0, kAny, 0));
    if (shares != 0)
        add(spec, cpu.path_of("shares"), "cpu.weight", std::to_string(weight_of_shares(shares)));
    RAIND_TRY(const std::int64_t quota, cpu.integer("quota", -1, kAny, 0));
    RAIND_TRY(const std::int64_t period, cpu.integer("period", 0, kAny, 0));
    if (quota != 0 || period != 0)
        add(spec, cpu.path_of("quota"), "cpu.max",
            (quota == 0 ? "max" : or_max(quota)) +
                (period == 0 ? std::string() : " " + std::to_string(period)));
    RAIND_TRY(const std::int64_t burst, cpu.integer("burst", 0, kAny, 0));
    if (burst != 0)
        add(spec, cpu.path_of("burst"), "cpu.max.burst", std::to_string(burst));
    RAIND_TRY(const std::int64_t idle, cpu.integer("idle", 0, 1, 0));
    if (idle != 0)
        add(spec, cpu.path_of("idle"), "cpu.idle", "1");
    RAIND_TRY(const std::string cpus, cpu.string("cpus", ""));
    if (!cpus.empty())
        add(spec, cpu.path_of("cpus"), "cpuset.cpus", cpus);
    RAIND_TRY(const std::string mems, cpu.string("mems", ""));
    if (!mems.empty())
        add(spec, cpu.path_of("mems"), "cpuset.mems", mems);
    return {};
}

Status read_block_io(const JsonReader& io, Spec& spec) {
    for (const std::string_view key : {"leafWeight", "weightDevice"})
        RAIND_CHECK(refuse_present(io, key));
    RAIND_TRY(const std::int64_t weight, io.integer("weight", 0, 1000, 0));
    if (weight != 0 && weight < 10)
        return invalid(io.path_of("weight"), "expected 10 to 1000");
    if (weight != 0)
        add(spec, io.path_of("weight"), "io.weight",
            std::to_string(1 + (weight - 10) * 9999 / 990));
    constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kThrottles{{
        {"throttleReadBpsDevice", "rbps"},
        {"throttleWriteBpsDevice", "wbps"},
        {"throttleReadIOPSDevice", "riops"},
        {"throttleWriteIOPSDevice", "wiops"},
    }};
    for (const auto& [key, word] : kThrottles) {
        const auto read = [](const JsonReader& item, const std::string&) -> Result<std::string> {
            RAIND_TRY(const std::int64_t major, item.integer("major", 0, kAny));
            RAIND_TRY(const std::int64_t minor, item.integer("minor", 0, kAny));
            RAIND_TRY(const std::uint64_t rate, read_u64(item, "rate"));
            return std::to_string(major) + ":" + std::to_string(minor) + " =" +
                   std::to_string(rate);
        };
        RAIND_TRY(const std::vector<std::string> lines, read_list<std::string>(io, key, read));
        for (std::string line : lines)
            add(spec, io.path_of(key), "io.max", line.insert(line.find('='), word));
    }
    return {};
}

Status read_pids(const JsonReader& pids, Spec& spec) {
    RAIND_TRY(const std::int64_t limit, pids.integer("limit", -1, kAny));
    add(spec, pids.path_of("limit"), "pids.max", or_max(limit));
    return {};
}

Result<DeviceRule> read_device_rule(const JsonReader& reader, const std::string& path) {
    DeviceRule rule;
    RAIND_TRY(rule.allow, reader.boolean("allow", false));
    RAIND_TRY(const std::string type, reader.string("type", "a"));
    if (type != "a" && type != "b" && type != "c")
        return invalid(path + ".type", "expected a, b or c");
    rule.type = type[0];
    RAIND_TRY(rule.major, reader.integer("major", -1, UINT32_MAX, -1));
    RAIND_TRY(rule.minor, reader.integer("minor", -1, UINT32_MAX, -1));
    RAIND_TRY(const std::string access, reader.string("access", ""));
    if (access.empty())
        return rule;
    rule.access = 0;
    for (const char c : access) {
        const unsigned bit = c == 'm' ? 1 : c == 'r' ? 2 : c == 'w' ? 4 : 0;
        if (bit == 0)
            return invalid(path + ".access", "expected letters of \"rwm\"");
        rule.access |= bit;
    }
    return rule;
}

Status read_unified(const JsonReader& reader, Spec& spec) {
    RAIND_TRY(const auto unified, read_string_map(reader, "unified"));
    for (const auto& [file, value] : unified) {
        const std::string key = reader.path_of("unified") + "." + file;
        if (file.empty() || file.find('/') != std::string::npos || file[0] == '.' ||
            file.starts_with("cgroup."))
            return invalid(key, "not a name of a setting");
        add(spec, key, file, value);
    }
    return {};
}

}  // namespace

Status read_resources(const JsonReader& reader, Spec& spec) {
    RAIND_CHECK(reader.expect_object());
    for (const std::string_view key : {"hugepageLimits", "rdma", "network"})
        RAIND_CHECK(refuse_present(reader, key));
    using Handler = Status (*)(const JsonReader&, Spec&);
    constexpr std::array<std::pair<std::string_view, Handler>, 4> kParts{{
        {"memory", read_memory},
        {"cpu", read_cpu},
        {"blockIO", read_block_io},
        {"pids", read_pids},
    }};
    for (const auto& [key, handler] : kParts) {
        RAIND_TRY(const std::optional<JsonReader> found, part(reader, key));
        if (found)
            RAIND_CHECK(handler(*found, spec));
    }
    RAIND_TRY(spec.device_rules, read_list<DeviceRule>(reader, "devices", read_device_rule));
    return read_unified(reader, spec);
}

}  // namespace raind::droplet
