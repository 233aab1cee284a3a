#include "tests/bpf/harness.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <linux/pkt_cls.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "userspace/bpf/convert.h"
#include "userspace/core/flow_table.h"
#include "userspace/core/packet.h"
#include "userspace/net/network.h"

namespace raind::testing {

namespace {

constexpr std::uint32_t kForeignEndpoint = 0x7fffffff;

Result<std::vector<std::uint32_t>> make_ports() {
    RAIND_TRY(const NetnsRef here, NetnsRef::current());
    RAIND_TRY(const std::unique_ptr<net::Network> network, net::Network::open(here));
    std::vector<std::uint32_t> out;
    for (std::size_t i = 0; i < Harness::kPorts; i++) {
        net::EndpointPort port;
        port.interface = fmt::format("rd_port{}", i);
        port.mac = {{2, 0x42, 9, 9, 9, static_cast<std::uint8_t>(i)}};
        RAIND_TRY(const std::uint32_t ifindex, network->create_endpoint(port));
        out.push_back(ifindex);
    }
    return out;
}

raind_ctkey abi_key(const core::Packet& packet) {
    const core::FlowKey flow = core::flow_key(packet).key;
    raind_ctkey key{};
    key.a = bpf::to_abi(flow.a);
    key.b = bpf::to_abi(flow.b);
    key.pa = flow.port_a;
    key.pb = flow.port_b;
    key.proto = flow.protocol;
    key.icmp_type = flow.icmp_type;
    key.icmp_code = flow.icmp_code;
    key.icmp_from_b = flow.icmp_from_b ? 1 : 0;
    return key;
}

}  // namespace

Result<std::unique_ptr<Harness>> Harness::make() {
    if (::geteuid() != 0) {
        std::puts("SKIP: BPF programs need root");
        std::exit(77);
    }
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0)
        return os_error("make namespaces");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        return os_error("make mounts private");
    std::unique_ptr<Harness> out(new Harness);
    RAIND_TRY(TempDir directory,
              TempDir::make(std::filesystem::temp_directory_path(), "raind-bpf-test"));
    out->directory_ = std::make_unique<TempDir>(std::move(directory));
    out->bpffs_ = out->directory_->path() / "bpf";
    RAIND_CHECK(make_dirs(out->bpffs_));
    if (::mount("bpf", out->bpffs_.c_str(), "bpf", 0, nullptr) != 0)
        return os_error("mount BPF file system");
    RAIND_TRY(out->ifindexes_, make_ports());
    return out;
}

Harness::~Harness() {
    if (!bpffs_.empty())
        ::umount2(bpffs_.c_str(), MNT_DETACH);
}

// Sizes are fixed at load: another size needs other maps.
Status Harness::load(std::uint32_t flow_entries, std::uint32_t ring_bytes) {
    if (datapath_ && flow_entries == flow_entries_ && ring_bytes == ring_bytes_)
        return {};
    reader_.reset();
    committer_.reset();
    endpoints_.reset();
    sweeper_.reset();
    if (datapath_)
        RAIND_CHECK(datapath_->pins().remove_all());
    datapath_.reset();
    RAIND_TRY(datapath_, bpf::Datapath::load({.bpffs = bpffs_,
                                              .flow_entries = flow_entries,
                                              .ring_flow = ring_bytes,
                                              .ring_deny = ring_bytes}));
    flow_entries_ = flow_entries;
    ring_bytes_ = ring_bytes;
    sweeper_ = std::make_unique<bpf::Sweeper>(*datapath_);
    endpoints_ = std::make_unique<bpf::EndpointMaps>(*datapath_);
    RAIND_TRY(bpf::Committer committer, bpf::Committer::make(*datapath_, *sweeper_));
    committer_ = std::make_unique<bpf::Committer>(std::move(committer));
    RAIND_TRY(reader_, bpf::EventReader::make(*datapath_, [this](const raind_event& event) {
                  events_.push_back(event);
              }));
    return {};
}

Status Harness::clear_counters() {
    for (std::uint32_t kind = 0; kind < RAIND_MAX_LOST; kind++)
        RAIND_CHECK(datapath_->lost.update(kind, 0));
    for (std::uint32_t reason = 0; reason < RAIND_MAX_STAT; reason++)
        RAIND_CHECK(datapath_->stat.reset(reason));
    raind_total total{};
    total.max = flow_entries_;
    RAIND_CHECK(datapath_->total.update(0, total));
    events();
    return {};
}

Status Harness::clear_maps() {
    RAIND_CHECK(datapath_->ep.clear());
    RAIND_CHECK(datapath_->addr.clear());
    RAIND_CHECK(datapath_->pool.clear());
    RAIND_CHECK(datapath_->ct.clear());
    RAIND_TRY(const auto quotas, datapath_->quota.keys());
    for (const std::uint32_t ep_id : quotas)
        RAIND_CHECK(endpoints_->forget(ep_id));
    RAIND_CHECK(datapath_->rulehit.clear());
    RAIND_CHECK(datapath_->denyagg.clear());
    return clear_counters();
}

Status Harness::publish(std::size_t index) {
    core::EndpointSpec spec = world_.endpoints.at(index).spec;
    spec.ifindex = ifindex(index);
    return endpoints_->publish(spec, world_.endpoints.at(index).flags);
}

Status Harness::reset(const World& world) {
    RAIND_CHECK(load(world.flow_table, world.ring_bytes));
    RAIND_CHECK(clear_maps());
    world_ = world;
    RAIND_CHECK(datapath_->active.update(0, 0));
    RAIND_CHECK(datapath_->gen.update(0, raind_gen{}));
    RAIND_CHECK(datapath_->gen.update(1, raind_gen{}));
    if (!world_.sets.empty())
        RAIND_CHECK(committer_->apply(world_.sets.front()));
    RAIND_CHECK(endpoints_->set_pools(world_.pools));
    RAIND_CHECK(endpoints_->set_host_addresses(world_.host));
    for (std::size_t i = 0; i < world_.endpoints.size(); i++)
        RAIND_CHECK(publish(i));
    RAIND_CHECK(endpoints_->set_published(world_.published));
    return {};
}

Status Harness::age(std::uint64_t milliseconds) {
    RAIND_TRY(const auto flows, datapath_->ct.entries());
    for (auto [key, flow] : flows) {
        flow.last -= milliseconds * 1'000'000;
        flow.created -= milliseconds * 1'000'000;
        RAIND_CHECK(datapath_->ct.update(key, flow));
    }
    return {};
}

Status Harness::fill(std::uint64_t entries) {
    raind_ctval flow{};
    flow.src_ep = kForeignEndpoint;
    flow.state = RAIND_CT_EST;
    for (std::uint64_t n = 0; n < entries; n++) {
        raind_ctkey key{};
        key.a.b[0] = 0x20;
        std::memcpy(&key.a.b[8], &n, sizeof n);
        key.proto = 6;
        RAIND_CHECK(datapath_->ct.update(key, flow));
    }
    return {};
}

Status Harness::prepare(const Step& step) {
    switch (step.before) {
        case Before::Nothing:
            return {};
        case Before::Commit:
            return committer_->apply(world_.sets.at(step.number));
        case Before::CommitSweep: {
            RAIND_CHECK(committer_->apply(world_.sets.at(step.number)));
            RAIND_CHECK(committer_->rejudge());
            return {};
        }
        case Before::Age:
            return age(step.number);
        case Before::Restart: {
            core::EndpointSpec& spec = world_.endpoints.at(step.number).spec;
            RAIND_CHECK(endpoints_->withdraw(spec));
            spec.ep_id += 1000;
            return publish(step.number);
        }
        case Before::Withdraw: {
            const core::EndpointSpec& spec = world_.endpoints.at(step.number).spec;
            RAIND_CHECK(endpoints_->withdraw(spec));
            RAIND_CHECK(sweeper_->run(RAIND_SWEEP_ENDPOINT, spec.ep_id));
            return {};
        }
        case Before::Sweep: {
            RAIND_CHECK(sweeper_->run(RAIND_SWEEP_PERIODIC));
            return {};
        }
        case Before::Fill:
            return fill(step.number);
        case Before::Unpublish: {
            RAIND_CHECK(endpoints_->set_published({}));
            return {};
        }
    }
    return {};
}

std::vector<raind_event> Harness::events() {
    // a failed read shows as missing records
    if (const Result<std::size_t> read = reader_->poll(std::chrono::milliseconds(0)); !read)
        return {};
    return std::exchange(events_, {});
}

Result<std::vector<std::uint64_t>> Harness::counters() const {
    std::vector<std::uint64_t> out(RAIND_MAX_STAT);
    for (std::uint32_t i = 0; i < out.size(); i++) {
        RAIND_TRY(const std::vector<raind_counter> values, datapath_->stat.lookup(i));
        for (const raind_counter& value : values)
            out[i] += value.packets;
    }
    return out;
}

Result<bool> Harness::has_flow(const Bytes& bytes) const {
    core::Packet packet;
    if (core::parse_ethernet(bytes, packet) != RAIND_R_NONE ||
        (packet.ethertype != core::kEtherIp4 && packet.ethertype != core::kEtherIp6) ||
        core::parse_ip(bytes, packet) != RAIND_R_NONE)
        return false;
    RAIND_TRY(const auto flow, datapath_->ct.lookup(abi_key(packet)));
    return flow.has_value();
}

Result<Observed> Harness::run(const Step& step) {
    RAIND_CHECK(prepare(step).context("before the step"));
    events();
    RAIND_TRY(Observed out, run_unread(step));
    out.events = events();
    return out;
}

Result<Observed> Harness::run_unread(const Step& step) {
    RAIND_TRY(const std::vector<std::uint64_t> before, counters());
    __sk_buff ctx{};
    ctx.ifindex = ifindex(step.port);
    ctx.mark = step.mark;
    ctx.ingress_ifindex = step.forwarded ? ifindex(kPorts - 1) : 0;
    Observed out;
    out.packet.resize(step.packet.size() + 256);
    __sk_buff ctx_after{};
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = step.packet.data();
    options.data_size_in = static_cast<std::uint32_t>(step.packet.size());
    options.data_out = out.packet.data();
    options.data_size_out = static_cast<std::uint32_t>(out.packet.size());
    options.ctx_in = &ctx;
    options.ctx_size_in = sizeof ctx;
    options.ctx_out = &ctx_after;
    options.ctx_size_out = sizeof ctx_after;
    const bool leaving = step.direction == Direction::FromContainer;
    const int program = leaving ? datapath_->from_fd() : datapath_->to_fd();
    if (::bpf_prog_test_run_opts(program, &options) != 0)
        return os_error("run program");
    out.packet.resize(options.data_size_out);
    out.stamp = ctx_after.mark & RAIND_STAMP_MASK;
    const auto verdict = static_cast<int>(options.retval);
    if (verdict == TC_ACT_SHOT)
        out.outcome = Outcome::Drop;
    else if (verdict == TC_ACT_UNSPEC)
        out.outcome = Outcome::Pass;
    else if (verdict != TC_ACT_REDIRECT)
        return Error(Errc::Internal, fmt::format("program returned {}", verdict));
    else if (out.stamp != 0)
        out.outcome = Outcome::ToHost;
    else if (std::equal(out.packet.begin(), out.packet.begin() + 6, step.packet.begin() + 6))
        out.outcome = Outcome::Answer;
    else
        out.outcome = Outcome::Deliver;
    RAIND_TRY(const std::vector<std::uint64_t> counts, counters());
    for (std::uint32_t i = 0; i < counts.size(); i++) {
        if (counts[i] != before[i]) {
            out.reason = i % RAIND_STAT_PASSED;
            out.passed = i >= RAIND_STAT_PASSED;
        }
    }
    RAIND_TRY(out.flow, has_flow(step.packet));
    return out;
}

}  // namespace raind::testing
