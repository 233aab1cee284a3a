// JSON of outside origin enters only through parse_json: bounded in bytes and depth, duplicate keys
// refused, no exceptions. Fields are read through checked accessors that know the range and name
// the path in the error.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

namespace raind {

using Json = nlohmann::json;

struct JsonLimits {
    std::size_t bytes = 1 << 20;
    int depth = 64;
};

Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

// Serialisation that cannot throw: invalid UTF-8 is replaced.
std::string dump_json(const Json& value, int indent = -1);

// Reads the fields of one object; `path` is where it stands, for error texts ("linux.resources").
class JsonReader {
  public:
    JsonReader(const Json& object, std::string path) : object_(&object), path_(std::move(path)) {}

    // The object check comes first: everything below expects it to have passed.
    Status expect_object() const;
    // Refuses keys that are not in the list: `unknown field "x"`.
    Status only(std::initializer_list<std::string_view> known) const;

    bool has(std::string_view key) const;
    // Required fields; the optional forms give the fallback when the key is absent or null.
    Result<std::string> string(std::string_view key) const;
    Result<std::string> string(std::string_view key, std::string fallback) const;
    Result<std::int64_t> integer(std::string_view key, std::int64_t low, std::int64_t high) const;
    Result<std::int64_t> integer(std::string_view key, std::int64_t low, std::int64_t high,
                                 std::int64_t fallback) const;
    Result<bool> boolean(std::string_view key, bool fallback) const;
    // Absent or null: empty.
    Result<std::vector<std::string>> strings(std::string_view key) const;
    // nullptr when absent or null.
    const Json* child(std::string_view key) const;
    std::string path_of(std::string_view key) const;

  private:
    Error wrong(std::string_view key, std::string_view expected) const;

    const Json* object_;
    std::string path_;
};

}  // namespace raind
