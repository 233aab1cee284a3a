#include "userspace/common/json.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace raind {

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
    if (text.size() > limits.bytes)
        return Error(Errc::TooLarge, fmt::format("JSON text of {} bytes is over the limit of {}",
                                                 text.size(), limits.bytes));
    bool too_deep = false;
    std::string duplicate;
    std::vector<std::set<std::string>> keys;
    const auto callback = [&](int depth, Json::parse_event_t event, Json& parsed) {
        too_deep = too_deep || depth > limits.depth;
        if (event == Json::parse_event_t::object_start)
            keys.emplace_back();
        else if (event == Json::parse_event_t::object_end)
            keys.pop_back();
        else if (event == Json::parse_event_t::key &&
                 !keys.back().insert(parsed.get_ref<const std::string&>()).second)
            duplicate = parsed.get_ref<const std::string&>();
        return !too_deep && duplicate.empty();
    };
    Json value;
    try {
        value = Json::parse(text.begin(), text.end(), callback);
    } catch (const Json::exception& e) {
        if (!too_deep && duplicate.empty())
            return Error(Errc::InvalidArgument, fmt::format("not valid JSON: {}", e.what()));
    }
    if (too_deep)
        return Error(Errc::InvalidArgument,
                     fmt::format("JSON is nested deeper than {}", limits.depth));
    if (!duplicate.empty())
        return Error(Errc::InvalidArgument, fmt::format("duplicate key \"{}\"", duplicate));
    return value;
}

std::string dump_json(const Json& value, int indent) {
    return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string JsonReader::path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

Error JsonReader::wrong(std::string_view key, std::string_view expected) const {
    return Error(Errc::InvalidArgument, fmt::format("{}: expected {}", path_of(key), expected));
}

Status JsonReader::expect_object() const {
    if (!object_->is_object())
        return Error(Errc::InvalidArgument,
                     fmt::format("{}: expected an object", path_.empty() ? "body" : path_));
    return {};
}

Status JsonReader::only(std::initializer_list<std::string_view> known) const {
    for (const auto& [key, value] : object_->items())
        if (std::ranges::find(known, std::string_view(key)) == known.end())
            return Error(Errc::InvalidArgument,
                         fmt::format("json: unknown field \"{}\"", path_of(key)));
    return {};
}

const Json* JsonReader::child(std::string_view key) const {
    const auto it = object_->find(std::string(key));
    return it == object_->end() || it->is_null() ? nullptr : &*it;
}

bool JsonReader::has(std::string_view key) const {
    return child(key) != nullptr;
}

Result<std::string> JsonReader::string(std::string_view key) const {
    const Json* value = child(key);
    if (value == nullptr || !value->is_string())
        return wrong(key, "a string");
    return value->get_ref<const std::string&>();
}

Result<std::string> JsonReader::string(std::string_view key, std::string fallback) const {
    if (!has(key))
        return fallback;
    return string(key);
}

Result<std::int64_t> JsonReader::integer(std::string_view key, std::int64_t low,
                                         std::int64_t high) const {
    const std::string expected = fmt::format("a whole number from {} to {}", low, high);
    const Json* value = child(key);
    if (value == nullptr || !value->is_number_integer())
        return wrong(key, expected);
    if (value->is_number_unsigned() &&
        value->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
        return wrong(key, expected);
    const auto number = value->get<std::int64_t>();
    if (number < low || number > high)
        return wrong(key, expected);
    return number;
}

Result<std::int64_t> JsonReader::integer(std::string_view key, std::int64_t low, std::int64_t high,
                                         std::int64_t fallback) const {
    if (!has(key))
        return fallback;
    return integer(key, low, high);
}

Result<bool> JsonReader::boolean(std::string_view key, bool fallback) const {
    const Json* value = child(key);
    if (value == nullptr)
        return fallback;
    if (!value->is_boolean())
        return wrong(key, "true or false");
    return value->get<bool>();
}

Result<std::vector<std::string>> JsonReader::strings(std::string_view key) const {
    std::vector<std::string> out;
    const Json* value = child(key);
    if (value == nullptr)
        return out;
    if (!value->is_array())
        return wrong(key, "a list of strings");
    for (const Json& item : *value) {
        if (!item.is_string())
            return wrong(key, "a list of strings");
        out.push_back(item.get_ref<const std::string&>());
    }
    return out;
}

}  // namespace raind
