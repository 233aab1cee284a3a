#include "droplet/spec_reader.h"

#include <algorithm>

namespace raind::droplet {

namespace {

constexpr std::size_t kMaxMappings = 340;  // what the kernel takes

Result<IdMapping> read_mapping(const JsonReader& reader, const std::string& path) {
    IdMapping mapping;
    RAIND_TRY(mapping.container, read_u32(reader, "containerID"));
    RAIND_TRY(mapping.host, read_u32(reader, "hostID"));
    RAIND_TRY(mapping.size, read_u32(reader, "size"));
    if (mapping.size == 0)
        return invalid(path + ".size", "must not be 0");
    if (mapping.container > UINT32_MAX - mapping.size || mapping.host > UINT32_MAX - mapping.size)
        return invalid(path, "ends above the highest id");
    return mapping;
}

bool overlap(std::uint32_t a, std::uint32_t a_size, std::uint32_t b, std::uint32_t b_size) {
    return a < b + b_size && b < a + a_size;
}

}  // namespace

Result<std::uint64_t> read_u64(const JsonReader& reader, std::string_view key) {
    const Json* value = reader.child(key);
    if (value == nullptr || !value->is_number_unsigned())
        return invalid(reader.path_of(key), "expected a whole number from 0 to 2^64-1");
    return value->get<std::uint64_t>();
}

Result<std::uint32_t> read_u32(const JsonReader& reader, std::string_view key) {
    RAIND_TRY(const std::int64_t value, reader.integer(key, 0, UINT32_MAX));
    return static_cast<std::uint32_t>(value);
}

Result<std::uint32_t> read_u32(const JsonReader& reader, std::string_view key,
                               std::uint32_t fallback) {
    if (!reader.has(key))
        return fallback;
    return read_u32(reader, key);
}

Result<std::string> read_absolute(const JsonReader& reader, std::string_view key) {
    RAIND_TRY(std::string value, reader.string(key));
    if (!value.starts_with('/'))
        return invalid(reader.path_of(key), "\"" + value + "\" is not an absolute path");
    return value;
}

Result<std::map<std::string, std::string>> read_string_map(const JsonReader& reader,
                                                           std::string_view key) {
    std::map<std::string, std::string> out;
    const Json* object = reader.child(key);
    if (object == nullptr)
        return out;
    if (!object->is_object())
        return invalid(reader.path_of(key), "expected an object");
    for (const auto& [name, value] : object->items()) {
        if (!value.is_string())
            return invalid(reader.path_of(key) + "." + name, "expected a string");
        out[name] = value.get_ref<const std::string&>();
    }
    return out;
}

Result<std::vector<IdMapping>> read_id_mappings(const JsonReader& reader, std::string_view key) {
    RAIND_TRY(std::vector<IdMapping> list, read_list<IdMapping>(reader, key, read_mapping));
    const std::string path = reader.path_of(key);
    if (list.size() > kMaxMappings)
        return invalid(path, "more than 340 entries");
    for (std::size_t i = 0; i < list.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (overlap(list[i].container, list[i].size, list[j].container, list[j].size) ||
                overlap(list[i].host, list[i].size, list[j].host, list[j].size))
                return invalid(path, "entries overlap");
    return list;
}

Status refuse_present(const JsonReader& reader, std::string_view key) {
    const Json* value = reader.child(key);
    if (value == nullptr || value->empty() ||
        (value->is_string() && value->get_ref<const std::string&>().empty()))
        return {};
    return Error(Errc::Unsupported, reader.path_of(key) + ": not supported yet");
}

}  // namespace raind::droplet
