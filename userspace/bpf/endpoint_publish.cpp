// Published ports in raind_publish.
#include <array>
#include <cstring>
#include <set>

#include "userspace/bpf/convert.h"
#include "userspace/bpf/endpoint_maps.h"

namespace raind::bpf {

namespace {

using KeyBytes = std::array<std::uint8_t, sizeof(raind_pubkey)>;

KeyBytes bytes_of(const raind_pubkey& key) {
    KeyBytes out{};
    std::memcpy(out.data(), &key, sizeof key);
    return out;
}

bool same(const raind_pubval& a, const raind_pubval& b) {
    return a.identity == b.identity && a.ep_id == b.ep_id && a.port == b.port;
}

}  // namespace

// What goes is gone before anything is added: a port never has a former owner beside its new one.
Result<bool> EndpointMaps::set_published(std::span<const core::PublishedPort> ports) const {
    bool changed = false;
    std::set<KeyBytes> wanted;
    std::vector<std::pair<raind_pubkey, raind_pubval>> entries;
    for (const core::PublishedPort& port : ports) {
        raind_pubkey key{};
        key.addr = to_abi(port.address);
        key.port = port.port;
        key.proto = port.protocol;
        raind_pubval value{};
        value.identity = port.identity;
        value.ep_id = port.ep_id;
        value.port = port.target_port;
        wanted.insert(bytes_of(key));
        entries.emplace_back(key, value);
    }
    RAIND_TRY(const std::vector<raind_pubkey> keys, datapath_.publish.keys());
    for (const raind_pubkey& key : keys) {
        if (wanted.contains(bytes_of(key)))
            continue;
        RAIND_CHECK(datapath_.publish.erase(key));
        changed = true;
    }
    for (const auto& [key, value] : entries) {
        RAIND_TRY(const std::optional<raind_pubval> now, datapath_.publish.lookup(key));
        if (now && same(*now, value))
            continue;
        RAIND_CHECK(datapath_.publish.update(key, value));
        changed = true;
    }
    return changed;
}

}  // namespace raind::bpf
