#include "userspace/bpf/backend.h"

#include <algorithm>
#include <net/if.h>

#include "raind/abi/names.h"

#include "userspace/common/log.h"

namespace raind::bpf {

Result<std::unique_ptr<EbpfBackend>> EbpfBackend::open(const LoadOptions& options,
                                                       AttachKind kind) {
    RAIND_TRY(std::unique_ptr<Datapath> datapath, Datapath::load(options));
    auto sweeper = std::make_unique<Sweeper>(*datapath);
    RAIND_TRY(Committer committer, Committer::make(*datapath, *sweeper));
    RAIND_TRY(Attachers attachers, make_attachers(*datapath, kind));
    std::unique_ptr<EbpfBackend> backend(new EbpfBackend(
        std::move(datapath), std::move(sweeper), std::move(committer), std::move(attachers)));
    RAIND_CHECK(backend->sweeper_->heartbeat());
    return backend;
}

Status EbpfBackend::set_pools(std::span<const Cidr> pools) {
    return endpoints_.set_pools(pools);
}

Status EbpfBackend::set_host_addresses(std::span<const core::HostAddress> addresses) {
    return endpoints_.set_host_addresses(addresses);
}

Result<bool> EbpfBackend::set_published(std::span<const core::PublishedPort> ports) {
    return endpoints_.set_published(ports);
}

Status EbpfBackend::attach_port(const std::string& interface, std::uint32_t ifindex) {
    RAIND_CHECK(datapath_->pins().make_folders());
    Status done = attacher_->attach(interface, ifindex);
    if (!done && done.error().code() != Errc::Conflict)
        return done;
    // Only now, so that the port is never without programs.
    RAIND_CHECK(other_attacher_->detach(interface));
    return done ? Status() : attacher_->attach(interface, ifindex);
}

Status EbpfBackend::publish_endpoint(const core::EndpointSpec& endpoint) {
    return endpoints_.publish(endpoint).context("publish endpoint of " + endpoint.name);
}

Status EbpfBackend::withdraw_endpoint(const core::EndpointSpec& endpoint) {
    RAIND_CHECK(endpoints_.withdraw(endpoint));
    if (endpoint.ep_id == 0)
        return {};
    RAIND_CHECK(sweeper_->run(RAIND_SWEEP_ENDPOINT, endpoint.ep_id));
    return endpoints_.forget(endpoint.ep_id);
}

Status EbpfBackend::detach_port(const std::string& interface) {
    RAIND_CHECK(attacher_->detach(interface));
    return other_attacher_->detach(interface);
}

Status EbpfBackend::publish_identity(const core::CompiledIdentity& identity,
                                     const std::string& name) {
    endpoints_.set_identity_name(identity.identity, name);
    return committer_.publish_identity(identity);
}

Result<std::vector<core::IdentityId>> EbpfBackend::identities() {
    RAIND_TRY(std::vector<core::IdentityId> out, datapath_->idname.keys());
    for (const auto& slot : datapath_->ident) {
        RAIND_TRY(const std::vector<core::IdentityId> keys, slot.keys());
        out.insert(out.end(), keys.begin(), keys.end());
    }
    std::ranges::sort(out);
    const auto rest = std::ranges::unique(out);
    out.erase(rest.begin(), rest.end());
    return out;
}

Status EbpfBackend::withdraw_identity(core::IdentityId identity) {
    RAIND_CHECK(committer_.withdraw_identity(identity));
    RAIND_CHECK(datapath_->idname.erase(identity));
    return {};
}

Result<core::SweepCounts> EbpfBackend::commit(const core::CompiledSet& set) {
    RAIND_CHECK(committer_.apply(set));
    // names are for people who dump maps: no reason to fail what is in force already
    if (const Status named = endpoints_.set_rule_names(set.table); !named)
        log::warning("rule names: {}", named.error().message());
    return committer_.rejudge();
}

Result<core::AppliedPolicy> EbpfBackend::applied() {
    return committer_.applied();
}

Result<core::SweepCounts> EbpfBackend::sweep() {
    RAIND_CHECK(sweeper_->heartbeat());
    // rejudging finds nothing to do unless the daemon died between a commit and its sweep
    RAIND_TRY(const raind_sweep_args done,
              sweeper_->run(RAIND_SWEEP_PERIODIC | RAIND_SWEEP_REJUDGE));
    return core::SweepCounts{done.visited, done.expired, done.kept, done.cut};
}

Result<std::vector<core::EndpointSpec>> EbpfBackend::endpoints() {
    return endpoints_.endpoints();
}

Result<core::EndpointId> EbpfBackend::last_endpoint_id() {
    return endpoints_.last_id();
}

Result<std::vector<std::string>> EbpfBackend::attached_interfaces() {
    RAIND_TRY(std::vector<std::string> names, attacher_->interfaces());
    RAIND_TRY(const std::vector<std::string> others, other_attacher_->interfaces());
    for (const std::string& name : others) {
        if (std::ranges::find(names, name) == names.end())
            names.push_back(name);
    }
    return names;
}

Result<std::vector<std::pair<std::string, std::uint64_t>>> EbpfBackend::drops() const {
    std::vector<std::pair<std::string, std::uint64_t>> out;
    for (std::uint32_t reason = 0; reason < RAIND_STAT_PASSED; reason++) {
        const std::string_view name = abi::reason_name(reason);
        RAIND_TRY(const std::vector<raind_counter> values, datapath_->stat.lookup(reason));
        std::uint64_t packets = 0;
        for (const raind_counter& value : values)
            packets += value.packets;
        if (packets != 0 && !name.empty())
            out.emplace_back(name, packets);
    }
    return out;
}

Result<core::PortStatus> EbpfBackend::port(const std::string& interface) {
    const std::uint32_t ifindex = ::if_nametoindex(interface.c_str());
    if (ifindex == 0)
        return core::PortStatus{.interface = interface,
                                .attached = false,
                                .first = false,
                                .kind = std::string(attacher_->kind())};
    return attacher_->inspect(interface, ifindex);
}

Result<core::BackendStatus> EbpfBackend::status() {
    core::BackendStatus out;
    out.name = "ebpf";
    RAIND_TRY(out.applied, committer_.applied());
    out.attach = attacher_->kind();
    RAIND_TRY(const std::vector<std::string> names, attached_interfaces());
    for (const std::string& name : names) {
        RAIND_TRY(core::PortStatus state, port(name));
        out.ports.push_back(std::move(state));
    }
    RAIND_TRY(const std::vector<std::uint32_t> ports, datapath_->ep.keys());
    out.fill.emplace_back(abi::map_name(abi::Map::EP), ports.size());
    RAIND_TRY(const std::vector<raind_ip> addresses, datapath_->addr.keys());
    out.fill.emplace_back(abi::map_name(abi::Map::ADDR), addresses.size());
    RAIND_TRY(const std::vector<raind_pubkey> published, datapath_->publish.keys());
    out.fill.emplace_back(abi::map_name(abi::Map::PUBLISH), published.size());
    RAIND_TRY(const std::optional<raind_total> total, datapath_->total.lookup(0));
    out.fill.emplace_back(abi::map_name(abi::Map::CT), total ? total->flows : 0);
    RAIND_TRY(out.drops, drops());
    for (std::uint32_t kind = 0; kind < RAIND_LOST_SAID; kind++) {
        RAIND_TRY(const std::optional<std::uint64_t> count, datapath_->lost.lookup(kind));
        if (count.value_or(0) != 0)
            out.lost.emplace_back(abi::lost_name(kind), *count);
    }
    return out;
}

Status EbpfBackend::remove_all() {
    // a filter does not end with its pin
    RAIND_TRY(const std::vector<std::string> names, attached_interfaces());
    for (const std::string& name : names)
        RAIND_CHECK(detach_port(name));
    return datapath_->pins().remove_all();
}

}  // namespace raind::bpf
