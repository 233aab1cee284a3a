// Names of the ABI's numbers, generated from the lists in enums.h. C++ only. Unknown numbers give
// an empty view, so that a record of a newer kernel side is shown as a number.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "raind/abi/ctl.h"
#include "raind/abi/enums.h"
#include "raind/abi/event.h"
#include "raind/abi/maps.h"

namespace raind::abi {

#define RAIND_NAME_CASE(name, value, text, meaning) \
    case value:                                     \
        return text;
#define RAIND_MEANING_CASE(name, value, text, meaning) \
    case value:                                        \
        return meaning;
#define RAIND_VALUE_TEST(name, value, text, meaning) \
    if (wanted == (text))                            \
        return std::uint32_t{value};
#define RAIND_NAME_FUNCTIONS(prefix, LIST)                                               \
    constexpr std::string_view prefix##_name(std::uint32_t number) {                     \
        switch (number) {                                                                \
            LIST(RAIND_NAME_CASE)                                                        \
            default:                                                                     \
                return {};                                                               \
        }                                                                                \
    }                                                                                    \
    constexpr std::string_view prefix##_meaning(std::uint32_t number) {                  \
        switch (number) {                                                                \
            LIST(RAIND_MEANING_CASE)                                                     \
            default:                                                                     \
                return {};                                                               \
        }                                                                                \
    }                                                                                    \
    constexpr std::optional<std::uint32_t> prefix##_from_name(std::string_view wanted) { \
        LIST(RAIND_VALUE_TEST)                                                           \
        return std::nullopt;                                                             \
    }

RAIND_NAME_FUNCTIONS(reason, RAIND_REASONS)
RAIND_NAME_FUNCTIONS(event, RAIND_EVENTS)
RAIND_NAME_FUNCTIONS(verdict, RAIND_VERDICTS)
RAIND_NAME_FUNCTIONS(end, RAIND_ENDS)
RAIND_NAME_FUNCTIONS(mode, RAIND_MODES)
RAIND_NAME_FUNCTIONS(action, RAIND_ACTIONS)
RAIND_NAME_FUNCTIONS(lost, RAIND_LOSTS)
RAIND_NAME_FUNCTIONS(flow_state, RAIND_FLOW_STATES)
RAIND_NAME_FUNCTIONS(rule, RAIND_RESERVED_RULES)
RAIND_NAME_FUNCTIONS(identity, RAIND_RESERVED_IDS)

#undef RAIND_NAME_CASE
#undef RAIND_MEANING_CASE
#undef RAIND_VALUE_TEST
#undef RAIND_NAME_FUNCTIONS

// Map names: map_name(Map::EP) == "raind_ep".
enum class Map {
#define RAIND_MAP_VALUE(name, text) name,
    RAIND_MAPS(RAIND_MAP_VALUE)
#undef RAIND_MAP_VALUE
};

constexpr const char* map_name(Map map) {
    switch (map) {
#define RAIND_MAP_CASE(name, text) \
    case Map::name:                \
        return text;
        RAIND_MAPS(RAIND_MAP_CASE)
#undef RAIND_MAP_CASE
    }
    return "";
}

}  // namespace raind::abi
