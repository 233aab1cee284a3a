#include "userspace/bpf/endpoint_maps.h"

#include <algorithm>
#include <array>
#include <map>
#include <net/if.h>
#include <set>

#include "raind/abi/names.h"

#include "userspace/bpf/convert.h"
#include "userspace/common/log.h"

namespace raind::bpf {

namespace {

using PrefixBytes = std::array<std::uint8_t, sizeof(raind_prefix)>;
using AddressBytes = std::array<std::uint8_t, sizeof(raind_ip)>;

template <typename T>
auto bytes_of(const T& value) {
    std::array<std::uint8_t, sizeof(T)> out{};
    std::memcpy(out.data(), &value, sizeof value);
    return out;
}

// Never permitted by a rule. The programs know them too.
constexpr std::array<const char*, 8> kSpecial = {
    "0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4",
    "ff00::/8",  "fe80::/10",   "::/96",       "64:ff9b::/96",
};

raind_endpoint describe(const core::EndpointSpec& spec, std::uint32_t flags) {
    raind_endpoint out{};
    out.ep_id = spec.ep_id;
    out.identity = spec.identity;
    out.flags = flags | (spec.fast_path ? RAIND_EP_FAST : 0U);
    out.net_id = spec.net_id;
    out.ip4 = to_abi(spec.ip4);
    out.ip6 = to_abi(spec.ip6);
    std::ranges::copy(spec.mac.bytes, std::begin(out.mac));
    std::ranges::copy(spec.gateway_mac.bytes, std::begin(out.gw_mac));
    out.mtu = spec.mtu;
    out.bridge_ifindex = spec.bridge_ifindex;
    out.ct_out_limit = spec.ct_out_limit;
    out.ct_in_limit = spec.ct_in_limit;
    out.event_rate = spec.event_rate;
    copy_text(out.name, spec.container_id);
    return out;
}

core::EndpointSpec describe(std::uint32_t ifindex, const raind_endpoint& ep) {
    core::EndpointSpec out;
    out.ep_id = ep.ep_id;
    out.identity = ep.identity;
    out.container_id = std::string(ep.name, strnlen(ep.name, sizeof ep.name));
    std::array<char, IF_NAMESIZE> name{};
    if (::if_indextoname(ifindex, name.data()) != nullptr)
        out.interface = name.data();
    out.ifindex = ifindex;
    out.bridge_ifindex = ep.bridge_ifindex;
    out.net_id = ep.net_id;
    out.ip4 = from_abi(ep.ip4);
    out.ip6 = from_abi(ep.ip6);
    std::ranges::copy(ep.mac, out.mac.bytes.begin());
    std::ranges::copy(ep.gw_mac, out.gateway_mac.bytes.begin());
    out.mtu = ep.mtu;
    out.fast_path = (ep.flags & RAIND_EP_FAST) != 0;
    out.ct_out_limit = ep.ct_out_limit;
    out.ct_in_limit = ep.ct_in_limit;
    out.event_rate = ep.event_rate;
    return out;
}

raind_rulename rule_name(const std::string& id, const char* source) {
    raind_rulename out{};
    copy_text(out.policy, id);
    copy_text(out.source, source);
    return out;
}

}  // namespace

Status EndpointMaps::publish(const core::EndpointSpec& endpoint, std::uint32_t flags) const {
    RAIND_TRY(std::optional<raind_quota> quota, datapath_.quota.lookup(endpoint.ep_id));
    raind_quota share = quota.value_or(raind_quota{});
    share.limit_out = endpoint.ct_out_limit;
    share.limit_in = endpoint.ct_in_limit;
    RAIND_CHECK(datapath_.quota.update(endpoint.ep_id, share));
    if (!quota)
        RAIND_CHECK(datapath_.epstat.reset(endpoint.ep_id));
    set_identity_name(endpoint.identity, endpoint.name);
    RAIND_CHECK(datapath_.ep.update(endpoint.ifindex, describe(endpoint, flags)));
    for (const IpAddress& address : {endpoint.ip4, endpoint.ip6})
        RAIND_CHECK(publish_address(endpoint, address, flags));
    return {};
}

Status EndpointMaps::publish_address(const core::EndpointSpec& endpoint, const IpAddress& address,
                                     std::uint32_t flags) const {
    if (address.is_zero())
        return {};
    raind_addrval value{};
    value.ep_id = endpoint.ep_id;
    value.identity = endpoint.identity;
    value.ifindex = endpoint.ifindex;
    value.flags = RAIND_ADDR_LOCAL;
    if ((flags & RAIND_EP_QUARANTINE) != 0)
        value.flags |= RAIND_ADDR_QUARANTINE;
    else if (endpoint.fast_path)
        value.flags |= RAIND_ADDR_FAST;
    std::ranges::copy(endpoint.mac.bytes, std::begin(value.mac));
    value.mtu = endpoint.mtu;
    value.net_id = endpoint.net_id;
    return datapath_.addr.update(to_abi(address), value);
}

// Only an entry of this incarnation: the address may belong to a successor already.
Status EndpointMaps::withdraw_address(const core::EndpointSpec& endpoint,
                                      const IpAddress& address) const {
    if (address.is_zero())
        return {};
    RAIND_TRY(const std::optional<raind_addrval> value, datapath_.addr.lookup(to_abi(address)));
    if (!value || value->ep_id != endpoint.ep_id)
        return {};
    RAIND_CHECK(datapath_.addr.erase(to_abi(address)));
    return {};
}

Status EndpointMaps::withdraw(const core::EndpointSpec& endpoint) const {
    for (const IpAddress& address : {endpoint.ip4, endpoint.ip6})
        RAIND_CHECK(withdraw_address(endpoint, address));
    RAIND_TRY(const auto ports, datapath_.ep.entries());
    for (const auto& [ifindex, ep] : ports) {
        if (ep.ep_id == endpoint.ep_id)
            RAIND_CHECK(datapath_.ep.erase(ifindex));
    }
    return {};
}

Status EndpointMaps::forget(core::EndpointId ep_id) const {
    RAIND_CHECK(datapath_.quota.erase(ep_id));
    RAIND_CHECK(datapath_.epstat.erase(ep_id));
    return {};
}

Status EndpointMaps::set_pools(std::span<const Cidr> pools) const {
    std::set<PrefixBytes> wanted;
    const auto write = [&](const Cidr& prefix, std::uint32_t cls) -> Status {
        const raind_prefix key = to_abi(prefix);
        wanted.insert(bytes_of(key));
        return datapath_.pool.update(key, cls);
    };
    for (const char* text : kSpecial) {
        RAIND_TRY(const Cidr prefix, Cidr::parse(text));
        RAIND_CHECK(write(prefix, RAIND_ID_SPECIAL));
    }
    for (const Cidr& pool : pools)
        RAIND_CHECK(write(pool, RAIND_ID_POOL));
    RAIND_TRY(const std::vector<raind_prefix> keys, datapath_.pool.keys());
    for (const raind_prefix& key : keys) {
        if (!wanted.contains(bytes_of(key)))
            RAIND_CHECK(datapath_.pool.erase(key));
    }
    return {};
}

Status EndpointMaps::set_host_addresses(std::span<const core::HostAddress> addresses) const {
    std::set<AddressBytes> wanted;
    for (const core::HostAddress& host : addresses) {
        const raind_ip key = to_abi(host.address);
        RAIND_TRY(const std::optional<raind_addrval> old, datapath_.addr.lookup(key));
        if (old && (old->flags & RAIND_ADDR_LOCAL) != 0) {
            log::warning("{} belongs to an endpoint and to the host", host.address.to_string());
            continue;
        }
        raind_addrval value{};
        value.identity = host.gateway ? RAIND_ID_GATEWAY : RAIND_ID_HOST;
        value.flags = host.gateway ? RAIND_ADDR_GATEWAY | RAIND_ADDR_HOST : RAIND_ADDR_HOST;
        RAIND_CHECK(datapath_.addr.update(key, value));
        wanted.insert(bytes_of(key));
    }
    RAIND_TRY(const auto entries, datapath_.addr.entries());
    for (const auto& [key, value] : entries) {
        if ((value.flags & RAIND_ADDR_LOCAL) == 0 && !wanted.contains(bytes_of(key)))
            RAIND_CHECK(datapath_.addr.erase(key));
    }
    return {};
}

void EndpointMaps::set_identity_name(core::IdentityId identity, const std::string& name) const {
    raind_idname value{};
    copy_text(value.name, name);
    if (auto named = datapath_.idname.update(identity, value); !named)
        log::warning("identity name: {}", named.error().message());
}

Status EndpointMaps::set_rule_names(std::span<const core::RuleInfo> table) const {
    std::map<std::uint32_t, raind_rulename> wanted;
#define RAIND_NAME_RULE(name, number, text, meaning) wanted[number] = rule_name(text, "predefined");
    RAIND_RESERVED_RULES(RAIND_NAME_RULE)
#undef RAIND_NAME_RULE
    for (const core::RuleInfo& info : table)
        wanted[info.rule] = info.policy_id.empty() ? rule_name("predefined", "predefined")
                                                   : rule_name(info.policy_id, "user");
    for (const auto& [rule, name] : wanted)
        RAIND_CHECK(datapath_.rulename.update(rule, name));
    RAIND_TRY(const std::vector<std::uint32_t> keys, datapath_.rulename.keys());
    for (const std::uint32_t rule : keys) {
        if (!wanted.contains(rule))
            RAIND_CHECK(datapath_.rulename.erase(rule));
    }
    return {};
}

Result<std::vector<core::EndpointSpec>> EndpointMaps::endpoints() const {
    RAIND_TRY(const auto entries, datapath_.ep.entries());
    std::vector<core::EndpointSpec> out;
    for (const auto& [ifindex, ep] : entries) {
        core::EndpointSpec spec = describe(ifindex, ep);
        RAIND_TRY(const std::optional<raind_idname> name, datapath_.idname.lookup(ep.identity));
        if (name)
            spec.name = std::string(name->name, strnlen(name->name, sizeof name->name));
        out.push_back(std::move(spec));
    }
    return out;
}

Result<core::EndpointId> EndpointMaps::last_id() const {
    core::EndpointId last = 0;
    RAIND_TRY(const auto ports, datapath_.ep.entries());
    for (const auto& [ifindex, ep] : ports)
        last = std::max(last, ep.ep_id);
    RAIND_TRY(const auto addresses, datapath_.addr.entries());
    for (const auto& [address, value] : addresses)
        last = std::max(last, value.ep_id);
    RAIND_TRY(const auto quotas, datapath_.quota.keys());
    for (const std::uint32_t ep_id : quotas)
        last = std::max(last, ep_id);
    RAIND_TRY(const auto flows, datapath_.ct.entries());
    for (const auto& [key, flow] : flows)
        last = std::max({last, flow.src_ep, flow.dst_ep});
    return last;
}

}  // namespace raind::bpf
