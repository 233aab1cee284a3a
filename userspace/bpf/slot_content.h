// What one policy slot holds, as the kernel's keys and values, and the difference between two such
// contents as map operations. Plain values.
#pragma once

#include <array>
#include <cstring>
#include <map>

#include "raind/abi/maps.h"
#include "raind/result.h"

#include "userspace/bpf/map.h"
#include "userspace/core/compiled_set.h"

namespace raind::bpf {

template <typename K>
using KeyBytes = std::array<std::uint8_t, sizeof(K)>;

template <typename K>
KeyBytes<K> key_bytes(const K& key) {
    KeyBytes<K> out{};
    std::memcpy(out.data(), &key, sizeof key);
    return out;
}

template <typename K, typename V>
using Content = std::map<KeyBytes<K>, V>;

struct SlotContent {
    Content<raind_polkey, raind_polval> policy;
    Content<raind_prefix, raind_chain> cidr;
    Content<std::uint32_t, raind_identval> ident;
};

// Refuses what the maps or the programs cannot hold.
Result<SlotContent> content_of(const core::CompiledSet& set);
Result<raind_identval> ident_value(const core::CompiledIdentity& identity);
// Modes, masks, revision and digest; generation and slot are the committer's.
Result<raind_gen> describe_generation(const core::CompiledSet& set);

template <typename K, typename V>
Result<Content<K, V>> read_content(const BpfMap<K, V>& map) {
    RAIND_TRY(const auto entries, map.entries());
    Content<K, V> out;
    for (const auto& [key, value] : entries)
        out[key_bytes(key)] = value;
    return out;
}

// Brings the map from `held` to `wanted`; `held` follows step by step, so that it is right even
// when a step fails.
template <typename K, typename V>
Status apply_difference(const BpfMap<K, V>& map, Content<K, V>& held, const Content<K, V>& wanted) {
    const auto key_of = [](const KeyBytes<K>& bytes) {
        K key{};
        std::memcpy(&key, bytes.data(), sizeof key);
        return key;
    };
    for (auto at = held.begin(); at != held.end();) {
        if (wanted.contains(at->first)) {
            ++at;
            continue;
        }
        RAIND_CHECK(map.erase(key_of(at->first)));
        at = held.erase(at);
    }
    for (const auto& [key, value] : wanted) {
        const auto old = held.find(key);
        if (old != held.end() && std::memcmp(&old->second, &value, sizeof value) == 0)
            continue;
        RAIND_CHECK(map.update(key_of(key), value));
        held.insert_or_assign(key, value);
    }
    return {};
}

}  // namespace raind::bpf
