#include "userspace/runtime/network_datapath.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <set>

#include "userspace/common/crypto.h"
#include "userspace/common/log.h"
#include "userspace/core/compiler.h"
#include "userspace/core/ipam.h"
#include "userspace/netfilter/connections.h"

namespace raind::runtime {
namespace {

constexpr const char* kPortPrefix = "rd_";

MacAddress random_mac() {
    std::array<std::uint8_t, 8> bytes{};
    random_bytes(bytes);
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes)
        value = value << 8 | byte;
    return core::local_mac(value);
}

core::AddressPlan plan_of(std::uint64_t ula_bits) {
    core::AddressPlan plan;
    for (std::size_t i = 0; i < plan.ula.size(); ++i)
        plan.ula[i] = static_cast<std::uint8_t>(ula_bits >> (8 * (plan.ula.size() - 1 - i)));
    return plan;
}

}  // namespace

Result<std::unique_ptr<NetworkDatapath>> NetworkDatapath::open(const NetworkOptions& options,
                                                               store::Store& store,
                                                               core::EnforcementBackend& backend,
                                                               flow::IdentityTable& identities) {
    std::unique_ptr<NetworkDatapath> self(new NetworkDatapath(options, store, backend, identities));
    auto netns = options.netns.empty() ? NetnsRef::current() : ensure_named_netns(options.netns);
    if (!netns)
        return std::move(netns.error()).context("container network");
    RAIND_TRY(self->network_, net::Network::open(*netns));
    RAIND_TRY(self->guard_, netfilter::Guard::open(*netns));
    RAIND_CHECK(self->prepare());
    RAIND_TRY(
        self->monitor_,
        net::NetworkMonitor::start(*netns, [raw = self.get()](const net::NetworkChange& change) {
            if (!change.addresses && !change.missed)
                return;
            const std::lock_guard lock(raw->mutex_);
            if (auto done = raw->refresh_host_addresses(); !done)
                log::error("host addresses are not current: {}", done.error().message());
        }));
    return self;
}

Status NetworkDatapath::ensure_pool() {
    RAIND_TRY(const auto known, store_.ipam().find_pool(options_.bridge));
    if (known) {
        pool_ = *known;
        return {};
    }
    RAIND_TRY(const std::uint64_t bits, store_.settings().ula_bits());
    RAIND_TRY(const auto pools, store_.ipam().pools());
    RAIND_TRY(pool_, core::next_pool(plan_of(bits), pools, options_.bridge, random_mac()));
    return store_.ipam().insert_pool(pool_);
}

netfilter::GuardSpec NetworkDatapath::guard_spec() const {
    const bool host_forwarding = options_.manage_forwarding && options_.netns.empty();
    return {.bridges = {options_.bridge},
            .pools = {pool_.subnet4, pool_.subnet6},
            .foreign = host_forwarding ? netfilter::ForeignForwarding::Dropped
                                       : netfilter::ForeignForwarding::Untouched,
            .ports = publisher_.published()};
}

// Everything that has to stand before the first endpoint; again at every start.
Status NetworkDatapath::prepare() {
    const std::lock_guard lock(mutex_);
    RAIND_CHECK(ensure_pool());
    const std::array<Cidr, 2> pools{pool_.subnet4, pool_.subnet6};
    RAIND_CHECK(in_netns([&] { return backend_.set_pools(pools); }));
    // What an earlier daemon published goes on without a gap; recover() corrects it.
    RAIND_TRY(const auto containers, store_.containers().list());
    for (const core::ContainerRecord& container : containers)
        if (container.ep_id != 0)
            publisher_.publish(container);
    RAIND_CHECK(in_netns([&] { return backend_.set_published(publisher_.published()); }));
    // The guard first: what reaches the bridge is judged from its first moment.
    RAIND_CHECK(guard_->ensure(guard_spec()));
    RAIND_TRY(bridge_, network_->ensure_bridge(
                           {.name = options_.bridge,
                            .mac = pool_.mac,
                            .ip4 = {pool_.gateway4, pool_.subnet4.length()},
                            .ip6 = net::InterfaceAddress{pool_.gateway6, pool_.subnet6.length()}}));
    if (!options_.netns.empty()) {
        RAIND_CHECK(network_->bring_loopback_up());
        RAIND_CHECK(network_->enable_forwarding_own());
    } else if (options_.manage_forwarding) {
        RAIND_CHECK(network_->enable_forwarding_shared());
    }
    RAIND_CHECK(route_loopback());
    return refresh_host_addresses();
}

// 127.0.0.1 of the host reaches a published port only if the bridge may route loopback addresses.
// The guard table keeps containers from using that, and no other interface gets the permission.
Status NetworkDatapath::route_loopback() {
    const std::string path = fmt::format("ipv4/conf/{}/route_localnet", options_.bridge);
    const std::vector<net::Sysctl> wanted{{path, publisher_.on_loopback() ? "1" : "0"}};
    RAIND_CHECK(net::write_sysctls(network_->netns(), wanted));
    return {};
}

// Who may be behind a port is known before anything is translated, and the guard of the loopback
// addresses is there before they are routed.
Status NetworkDatapath::apply_ports() {
    ports_pending_ = true;
    RAIND_CHECK(in_netns([&] { return backend_.set_published(publisher_.published()); }));
    RAIND_CHECK(guard_->ensure(guard_spec()));
    RAIND_CHECK(route_loopback());
    ports_pending_ = false;
    return {};
}

Status NetworkDatapath::open_ports(const core::ContainerRecord& container) {
    if (container.options.ports.empty())
        return {};
    publisher_.publish(container);
    return apply_ports().context("publish ports");
}

Status NetworkDatapath::close_ports(const core::ContainerRecord& container) {
    if (!publisher_.withdraw(container.id) && !ports_pending_)
        return {};
    // The map first here too: a container's packet that is still translated has lost its flow.
    RAIND_CHECK(apply_ports().context("take back published ports"));
    // What remains is not stamped any more, and so it is denied; it only spares peers the wait.
    if (auto forgotten =
            netfilter::forget_connections(network_->netns(), {container.ip4, container.ip6});
        !forgotten)
        log::warning("container {}: its connections: {}", container.id,
                     forgotten.error().message());
    return {};
}

Status NetworkDatapath::keep_ports() {
    if (ports_pending_)
        return apply_ports().context("publish ports");
    RAIND_TRY(const bool changed,
              in_netns([&] { return backend_.set_published(publisher_.published()); }));
    if (changed)
        log::error("alarm: the map of published ports was changed; put back");
    if (publisher_.hold_missing(network_->netns()))
        log::info("every published port is held again");
    return route_loopback();
}

Status NetworkDatapath::refresh_host_addresses() {
    RAIND_TRY(const auto own, network_->own_addresses());
    std::vector<core::HostAddress> addresses;
    for (const net::OwnAddress& entry : own) {
        // Whole prefixes (127.0.0.0/8) are special addresses already.
        if (entry.prefix.length() != (entry.prefix.is_v4() ? 32U : 128U))
            continue;
        const IpAddress& address = entry.prefix.network();
        addresses.push_back({address, address == pool_.gateway4 || address == pool_.gateway6});
    }
    return in_netns([&] { return backend_.set_host_addresses(addresses); });
}

net::EndpointPort NetworkDatapath::port_of(const core::ContainerRecord& container) const {
    return {.interface = container.host_interface,
            .bridge = options_.bridge,
            .mac = container.mac,
            .gateway_mac = bridge_.mac,
            .ip4 = {container.ip4, pool_.subnet4.length()},
            .ip6 = net::InterfaceAddress{container.ip6, pool_.subnet6.length()},
            .gateway4 = pool_.gateway4,
            .gateway6 = pool_.gateway6};
}

core::EndpointSpec NetworkDatapath::endpoint_of(const core::ContainerRecord& container,
                                                std::uint32_t ifindex) const {
    return {.ep_id = container.ep_id,
            .identity = container.identity,
            .container_id = container.id,
            .name = container.name,
            .interface = container.host_interface,
            .ifindex = ifindex,
            .bridge_ifindex = bridge_.ifindex,
            .net_id = pool_.number,
            .ip4 = container.ip4,
            .ip6 = container.ip6,
            .mac = container.mac,
            .gateway_mac = bridge_.mac,
            .mtu = static_cast<std::uint16_t>(net::kDefaultMtu)};
}

// Programs, then maps; the port is down or isolated meanwhile.
Status NetworkDatapath::publish(const core::ContainerRecord& container, std::uint32_t ifindex,
                                std::uint64_t since) {
    identities_.add(flow::Endpoint{.ep_id = container.ep_id,
                                   .identity = container.identity,
                                   .container_id = container.id,
                                   .container_uid = container.uid,
                                   .name = container.name,
                                   .spiffe_id = container.spiffe_id(),
                                   .veth = container.host_interface,
                                   .ip4 = container.ip4,
                                   .ip6 = container.ip6},
                    since);
    return in_netns([&]() -> Status {
        RAIND_CHECK(backend_.attach_port(container.host_interface, ifindex));
        return backend_.publish_endpoint(endpoint_of(container, ifindex));
    });
}

Status NetworkDatapath::attach_locked(const core::ContainerRecord& container) {
    const net::EndpointPort port = port_of(container);
    RAIND_TRY(const std::uint32_t ifindex, network_->create_endpoint(port));
    RAIND_CHECK(publish(container, ifindex, boottime_ns()));
    RAIND_CHECK(network_->enslave_endpoint(port));
    RAIND_TRY(const NetnsRef inside, NetnsRef::of_pid(container.pid));
    RAIND_CHECK(network_->connect_endpoint(port, inside));
    return open_ports(container);
}

// The kernel binds to broadcast addresses as well, and some hosts allow foreign ones.
Status NetworkDatapath::check_addresses(const core::ContainerRecord& container) {
    RAIND_TRY(const auto own, network_->own_addresses());
    for (const PortMapping& mapping : container.options.ports) {
        const auto has = [&](const net::OwnAddress& entry) {
            return entry.kind == net::OwnKind::Local && entry.prefix.contains(*mapping.address);
        };
        if (mapping.address && !mapping.address->is_unspecified() && std::ranges::none_of(own, has))
            return Error(Errc::InvalidArgument,
                         fmt::format("cannot publish {}: {} is not an address of the host",
                                     mapping.host_side(), mapping.address->to_string()));
    }
    return {};
}

Status NetworkDatapath::attach(const core::ContainerRecord& container) {
    const std::lock_guard lock(mutex_);
    RAIND_CHECK(check_addresses(container));
    RAIND_CHECK(publisher_.reserve(network_->netns(), container));
    auto done = attach_locked(container).context("network");
    if (done)
        return {};
    if (auto undone = detach_locked(container); !undone)
        log::error("container {}: undoing a failed attach: {}", container.id,
                   undone.error().message());
    return done;
}

Status NetworkDatapath::detach_locked(const core::ContainerRecord& container) {
    RAIND_CHECK(close_ports(container));
    RAIND_TRY(const auto link, network_->link(container.host_interface));
    if (link)
        RAIND_CHECK(network_->down_endpoint(container.host_interface));
    // The device may have gone with the container's namespace: the endpoint is found by its number.
    const auto ifindex = link ? static_cast<std::uint32_t>(link->index) : 0U;
    RAIND_CHECK(in_netns([&]() -> Status {
        if (container.ep_id != 0)
            RAIND_CHECK(backend_.withdraw_endpoint(endpoint_of(container, ifindex)));
        return backend_.detach_port(container.host_interface);
    }));
    RAIND_CHECK(network_->remove_endpoint(port_of(container)));
    if (container.ep_id != 0)
        identities_.retire(container.ep_id);
    return {};
}

Status NetworkDatapath::detach(const core::ContainerRecord& container) {
    const std::lock_guard lock(mutex_);
    return detach_locked(container);
}

Status NetworkDatapath::repair_locked(const core::ContainerRecord& container) {
    // It had the ports before; a process that took one meanwhile is none of its faults.
    if (auto held = publisher_.hold(network_->netns(), container); !held)
        log::error("alarm: container {}: {}; it stays published", container.id,
                   held.error().message());
    RAIND_TRY(const auto link, network_->link(container.host_interface));
    if (!link) {
        auto attached = attach_locked(container);
        if (!attached)
            RAIND_CHECK(detach_locked(container));
        return attached;
    }
    // It was there before this daemon, or before the fault: its earlier records are its own too.
    RAIND_CHECK(publish(container, static_cast<std::uint32_t>(link->index), 0));
    const net::EndpointPort port = port_of(container);
    RAIND_CHECK(network_->enslave_endpoint(port));
    RAIND_TRY(const NetnsRef inside, NetnsRef::of_pid(container.pid));
    RAIND_CHECK(network_->connect_endpoint(port, inside));
    return open_ports(container);
}

Status NetworkDatapath::repair(const core::ContainerRecord& container) {
    const std::lock_guard lock(mutex_);
    return repair_locked(container).context("network");
}

Status NetworkDatapath::prune(const std::vector<core::ContainerRecord>& attached) {
    const std::lock_guard lock(mutex_);
    std::set<std::string> interfaces;
    std::set<core::EndpointId> endpoints;
    std::vector<IpAddress> addresses;
    for (const core::ContainerRecord& container : attached) {
        interfaces.insert(container.host_interface);
        endpoints.insert(container.ep_id);
        addresses.insert(addresses.end(), {container.ip4, container.ip6});
    }
    RAIND_CHECK(in_netns([&]() -> Status {
        RAIND_TRY(const auto held, backend_.endpoints());
        for (const core::EndpointSpec& endpoint : held)
            if (!endpoints.contains(endpoint.ep_id))
                RAIND_CHECK(backend_.withdraw_endpoint(endpoint));
        RAIND_TRY(const auto ports, backend_.attached_interfaces());
        for (const std::string& port : ports)
            if (!interfaces.contains(port))
                RAIND_CHECK(backend_.detach_port(port));
        RAIND_TRY(const core::EndpointId last, backend_.last_endpoint_id());
        return store_.identities().raise_endpoint(last);
    }));
    RAIND_TRY(const auto links, network_->links_by_prefix(kPortPrefix));
    for (const net::Link& link : links)
        // In a namespace that others use, only what hangs on our bridge, or nowhere, is ours.
        if (!interfaces.contains(link.name) &&
            (link.master == 0 || link.master == static_cast<int>(bridge_.ifindex))) {
            log::warning("interface {} belongs to no container: removed", link.name);
            RAIND_CHECK(network_->delete_link(link.name));
        }
    return network_->keep_neighbours(options_.bridge, addresses);
}

Status NetworkDatapath::publish_identity(core::IdentityId identity, const std::string& name) {
    const std::lock_guard lock(mutex_);
    return in_netns(
        [&] { return backend_.publish_identity(core::workload_chain(identity, name), name); });
}

Result<std::vector<core::IdentityId>> NetworkDatapath::identities() {
    const std::lock_guard lock(mutex_);
    return in_netns([&] { return backend_.identities(); });
}

Status NetworkDatapath::withdraw_identity(core::IdentityId identity) {
    const std::lock_guard lock(mutex_);
    return in_netns([&] { return backend_.withdraw_identity(identity); });
}

Result<core::SweepCounts> NetworkDatapath::commit(const core::CompiledSet& set) {
    const std::lock_guard lock(mutex_);
    return in_netns([&] { return backend_.commit(set); });
}

Result<core::AppliedPolicy> NetworkDatapath::applied() {
    const std::lock_guard lock(mutex_);
    return in_netns([&] { return backend_.applied(); });
}

Result<core::BackendStatus> NetworkDatapath::status() {
    const std::lock_guard lock(mutex_);
    return in_netns([&] { return backend_.status(); });
}

std::vector<std::string> NetworkDatapath::ports_not_held() {
    const std::lock_guard lock(mutex_);
    return publisher_.missing();
}

Result<net::ForwardingState> NetworkDatapath::forwarding() {
    return network_->forwarding();
}

Status NetworkDatapath::keep() {
    const std::lock_guard lock(mutex_);
    RAIND_CHECK(in_netns([&] { return backend_.sweep(); }));
    RAIND_CHECK(keep_ports());
    RAIND_TRY(const netfilter::GuardState guard, guard_->verify());
    if (guard == netfilter::GuardState::Intact)
        return {};
    const Status done = guard_->ensure(guard_spec());
    log::error("alarm: the guard table was {}; {}",
               guard == netfilter::GuardState::Absent ? "removed" : "changed",
               done ? "put back" : "it could not be put back");
    return done;
}

Status NetworkDatapath::verify(const core::ContainerRecord& container) {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(const core::PortStatus port,
              in_netns([&] { return backend_.port(container.host_interface); }));
    RAIND_TRY(const auto link, network_->link(container.host_interface));
    std::vector<std::string> differences{"interface removed"};
    if (link) {
        RAIND_TRY(differences, network_->verify_endpoint(port_of(container)));
    } else if (!NetnsRef::of_pid(container.pid)) {
        return {};  // the container is ending and took its interface with it: nobody's fault
    }
    const bool programs = !link || (port.attached && port.first);
    if (programs && differences.empty())
        return {};
    const std::string what = fmt::format("port {} was changed ({})", container.host_interface,
                                         programs ? differences.front() : "programs");
    auto repaired = repair_locked(container);
    log::error("alarm: {}; {}", what,
               repaired ? "put back" : "it stays closed until it can be put back");
    return repaired;
}

Status NetworkDatapath::remove_all() {
    monitor_.reset();
    const std::lock_guard lock(mutex_);
    RAIND_CHECK(network_->remove_bridge(options_.bridge));
    RAIND_CHECK(guard_->remove(""));
    RAIND_CHECK(in_netns([&] { return backend_.remove_all(); }));
    if (!options_.netns.empty())
        RAIND_CHECK(remove_named_netns(options_.netns));
    return {};
}

}  // namespace raind::runtime
