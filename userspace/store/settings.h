// SettingStore: single values that are drawn once or set by the operator. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "raind/result.h"

#include "userspace/store/connection.h"

namespace raind::store {

class SettingStore {
  public:
    explicit SettingStore(Connection& connection) : connection_(connection) {}

    Result<std::optional<std::string>> get(const std::string& key);
    Status set(const std::string& key, const std::string& value);

    // The stable id of this host, drawn at the first call.
    Result<std::string> node();
    // The 40 random bits of our IPv6 prefixes (fdXX:XXXX:XXXX::/48), drawn at the first call.
    Result<std::uint64_t> ula_bits();

  private:
    // The value, or `drawn` if there was none, which is then kept.
    Result<std::string> get_or_set(const std::string& key, const std::string& drawn);

    Connection& connection_;
};

}  // namespace raind::store
