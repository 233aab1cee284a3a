// Helpers that the parts of the config.json parser share. Internal to droplet's spec_*.cpp files.
#pragma once

#include <string>

#include "raind/result.h"

#include "droplet/spec.h"
#include "userspace/common/json.h"

namespace raind::droplet {

Error invalid(const std::string& path, const std::string& why);

// Calls parse(item, "path[i]") for each object of a list; absent or null is an empty list.
template <typename T, typename F>
Result<std::vector<T>> read_list(const JsonReader& reader, std::string_view key, F&& parse) {
    std::vector<T> out;
    const Json* list = reader.child(key);
    const std::string path = reader.path_of(key);
    if (list == nullptr)
        return out;
    if (!list->is_array())
        return invalid(path, "expected a list");
    for (std::size_t i = 0; i < list->size(); ++i) {
        const std::string at = path + "[" + std::to_string(i) + "]";
        const JsonReader item((*list)[i], at);
        RAIND_CHECK(item.expect_object());
        RAIND_TRY(T value, parse(item, at));
        out.push_back(std::move(value));
    }
    return out;
}

// Any unsigned 64-bit number; negative or broken ones are an error.
Result<std::uint64_t> read_u64(const JsonReader& reader, std::string_view key);
Result<std::uint32_t> read_u32(const JsonReader& reader, std::string_view key);
Result<std::uint32_t> read_u32(const JsonReader& reader, std::string_view key,
                               std::uint32_t fallback);
Result<std::string> read_absolute(const JsonReader& reader, std::string_view key);
Result<std::map<std::string, std::string>> read_string_map(const JsonReader& reader,
                                                           std::string_view key);
Result<std::vector<IdMapping>> read_id_mappings(const JsonReader& reader, std::string_view key);
// The key must be absent, null or empty.
Status refuse_present(const JsonReader& reader, std::string_view key);

Result<Process> read_process(const JsonReader& reader);
Status read_mounts(const JsonReader& root, Spec& spec);
Status read_hooks(const JsonReader& root, Spec& spec);
Status read_linux(const JsonReader& linux_part, Spec& spec);
Status read_resources(const JsonReader& resources, Spec& spec);
Result<Seccomp> read_seccomp(const JsonReader& reader);
// What needs several parts at once: user mapped, sysctls of namespaces that are there, ...
Status check_spec(const Spec& spec);

}  // namespace raind::droplet
