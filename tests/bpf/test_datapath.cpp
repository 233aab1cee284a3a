// The datapath beyond single verdicts: bytes of what programs write, records, shares, commit,
// restart, layout.
#include <algorithm>
#include <bpf/btf.h>
#include <cstddef>
#include <doctest/doctest.h>

#include "tests/bpf/harness.h"
#include "tests/bpf/world.h"
#include "userspace/bpf/convert.h"
#include "userspace/bpf/object.h"
#include "userspace/bpf/objects.h"

using namespace raind;
using namespace raind::testing;

namespace {

template <typename T>
T must(Result<T> result) {
    if (!result)
        FAIL(result.error().message());
    return std::move(*result);
}
void must(Status status) {
    if (!status)
        FAIL(status.error().message());
}

// One for the process: it enters namespaces of its own.
Harness& harness() {
    static std::unique_ptr<Harness> one = must(Harness::make());
    return *one;
}

std::uint16_t checksum_of(const Bytes& frame, int family, std::uint8_t proto) {
    const std::size_t l4 = family == 4 ? 34 : 54;
    const Bytes body(frame.begin() + static_cast<std::ptrdiff_t>(l4), frame.end());
    std::uint32_t sum = static_cast<std::uint32_t>(body.size()) + proto;
    for (std::size_t i = family == 4 ? 26 : 22; i < l4; i += 2)
        sum += static_cast<std::uint32_t>(frame[i] << 8) + frame[i + 1];
    return PacketBuilder::checksum(body, sum);  // 0: right
}

std::uint32_t word_at(const Bytes& b, std::size_t at) {
    return static_cast<std::uint32_t>(b[at]) << 24 | static_cast<std::uint32_t>(b[at + 1]) << 16 |
           static_cast<std::uint32_t>(b[at + 2]) << 8 | b[at + 3];
}

Bytes part(const Bytes& b, std::size_t from, std::size_t count) {
    return {b.begin() + static_cast<std::ptrdiff_t>(from),
            b.begin() + static_cast<std::ptrdiff_t>(from + count)};
}

Bytes bytes_of(const MacAddress& m) {
    return {m.bytes.begin(), m.bytes.end()};
}

Bytes datagram(std::uint16_t sport = 40000, std::uint16_t dport = 5000) {
    return frame(web(), db(), 4).udp(sport, dport).payload(8).build();
}

Observed run(const Bytes& packet) {
    return must(harness().run(from(kWeb, "step", packet, {})));
}

std::size_t count_type(const std::vector<raind_event>& events, std::uint8_t type) {
    return static_cast<std::size_t>(std::ranges::count(events, type, &raind_event::type));
}

void make_denials_older(std::uint64_t ns) {
    const auto& map = harness().datapath().denyagg;
    for (auto [key, value] : must(map.entries())) {
        value.last_ns -= ns;
        must(map.update(key, value));
    }
}

}  // namespace

TEST_CASE("a denied TCP segment becomes a right reset") {
    must(harness().reset(world(Rules())));
    for (const int family : {4, 6}) {
        for (const std::uint8_t flags : {kSyn, static_cast<std::uint8_t>(kPsh | kAck),
                                         static_cast<std::uint8_t>(kFin | kAck)}) {
            CAPTURE(family);
            CAPTURE(static_cast<int>(flags));
            const Observed seen =
                run(frame(web(), db(), family).tcp(40000, 8080, flags).payload(11).build());
            const std::size_t l4 = family == 4 ? 34 : 54;
            REQUIRE(seen.packet.size() == l4 + 20);
            CHECK(part(seen.packet, 0, 6) == bytes_of(web().mac));
            CHECK(part(seen.packet, 6, 6) == bytes_of(gateway().mac));
            CHECK(checksum_of(seen.packet, family, 6) == 0);
            if (family == 4)
                CHECK(PacketBuilder::checksum(part(seen.packet, 14, 20)) == 0);
            CHECK(word_at(seen.packet, l4) == (8080U << 16 | 40000U));
            const bool acked = (flags & kAck) != 0;
            CHECK(seen.packet[l4 + 13] == (acked ? kRst : kRst | kAck));
            CHECK(word_at(seen.packet, l4 + 4) == (acked ? 0x55667788U : 0U));
            CHECK(word_at(seen.packet, l4 + 8) == (acked ? 0U : 0x11223344U + 11 + 1));
            const std::size_t size = family == 4 ? 4 : 16;
            const std::size_t src = family == 4 ? 26 : 22;
            const IpAddress from_db = db().of(family);
            CHECK(part(seen.packet, src, size) ==
                  Bytes(from_db.bytes().end() - static_cast<long>(size), from_db.bytes().end()));
        }
    }
}

TEST_CASE("ARP and NDP questions get the gateway's MAC") {
    must(harness().reset(world(Rules())));
    const Observed arp = run(PacketBuilder()
                                 .eth(web().mac, mac("ff:ff:ff:ff:ff:ff"))
                                 .arp(1, web().mac, web().ip4, MacAddress{}, db().ip4));
    CHECK(arp.packet == PacketBuilder()
                            .eth(gateway().mac, web().mac)
                            .arp(2, gateway().mac, db().ip4, web().mac, web().ip4));
    const Observed nd = run(PacketBuilder()
                                .eth(web().mac, mac("33:33:ff:00:00:02"))
                                .from(web().ip6)
                                .to(ip("ff02::1:ff00:2"))
                                .nd(135, db().ip6, web().mac)
                                .build());
    CHECK(nd.packet == PacketBuilder()
                           .eth(gateway().mac, web().mac)
                           .from(db().ip6)
                           .to(web().ip6)
                           .nd(136, db().ip6, gateway().mac)
                           .build());
    CHECK(checksum_of(nd.packet, 6, 58) == 0);
}

TEST_CASE("the record of a new flow") {
    must(harness().reset(world(Rules().allow(kWebId, kDbId, 17, 5000, 257))));
    const Observed seen = run(datagram());
    REQUIRE(seen.events.size() == 1);
    const raind_event& event = seen.events.front();
    CHECK(event.verdict == RAIND_V_ALLOW);
    CHECK(event.family == 4);
    CHECK(event.proto == 17);
    CHECK(bpf::from_abi(event.src) == web().ip4);
    CHECK(bpf::from_abi(event.dst) == db().ip4);
    CHECK(event.sport == 40000);
    CHECK(event.dport == 5000);
    CHECK(event.flags == RAIND_EVF_EAST_WEST);
    CHECK(event.revision == 1);
    CHECK(event.gen != 0);
    CHECK(event.src_identity == kWebId);
    CHECK(event.dst_identity == kDbId);
    CHECK(event.match_class == kDbId);
    CHECK(event.src_ep == 101);
    CHECK(event.dst_ep == 102);
    CHECK(event.flow_id != 0);
    CHECK(event.ifindex == harness().ifindex(kWeb));
    const auto flows = must(harness().datapath().ct.entries());
    REQUIRE(flows.size() == 1);
    CHECK(flows.front().second.flow_id == event.flow_id);
    const auto hit = must(harness().datapath().rulehit.lookup(257));
    REQUIRE(hit.has_value());
    CHECK(hit->opened == 1);

    // the endpoint's end ends the flow, with its totals
    run(datagram());
    const raind_sweep_args done = must(harness().sweeper().run(RAIND_SWEEP_ENDPOINT, 102));
    CHECK(done.ended == 1);
    const auto ended = harness().events();
    REQUIRE(ended.size() == 1);
    CHECK(ended.front().type == RAIND_EV_END);
    CHECK(ended.front().end == RAIND_END_ENDPOINT_GONE);
    CHECK(ended.front().flow_id == event.flow_id);
    CHECK(ended.front().packets_fwd == 2);
    CHECK(ended.front().bytes_fwd == 2 * datagram().size());
    CHECK(must(harness().datapath().quota.lookup(101))->open_out == 0);
}

TEST_CASE("denials of one key are recorded at once, then with their number") {
    must(harness().reset(world(Rules())));
    CHECK(run(datagram()).events.size() == 1);
    for (int i = 0; i < 4; i++)
        CHECK(run(datagram()).events.empty());
    make_denials_older(2'000'000'000);
    const Observed next = run(datagram());
    REQUIRE(next.events.size() == 1);
    CHECK(next.events.front().count == 4);
    CHECK(run(datagram()).events.empty());
    make_denials_older(2'000'000'000);
    CHECK(must(harness().sweeper().run(RAIND_SWEEP_DENYAGG)).denials == 1);
    const auto flushed = harness().events();
    REQUIRE(flushed.size() == 1);
    CHECK(flushed.front().type == RAIND_EV_DENY);
    CHECK(flushed.front().count == 1);
    make_denials_older(20'000'000'000);
    must(harness().sweeper().run(RAIND_SWEEP_DENYAGG));
    CHECK(must(harness().datapath().denyagg.keys()).empty());
}

TEST_CASE("an endpoint over its record rate: verdicts stay, the number lost is said") {
    World w = world(Rules().allow(kWebId, kDbId, 17, 0, 257));
    w.endpoints[kWeb].spec.event_rate = 1;
    must(harness().reset(w));
    std::size_t recorded = 0;
    for (std::uint16_t port = 0; port < 10; port++) {
        const Observed seen = run(datagram(static_cast<std::uint16_t>(41000 + port)));
        CHECK(seen.flow);
        recorded += count_type(seen.events, RAIND_EV_NEW);
    }
    CHECK(recorded == 2);  // the burst
    raind_quota quota = *must(harness().datapath().quota.lookup(101));
    CHECK(quota.events_lost == 8);
    quota.refill_ns -= 5'000'000'000;
    quota.lost_said = 0;
    must(harness().datapath().quota.update(101, quota));
    const Observed next = run(datagram(42000));
    CHECK(count_type(next.events, RAIND_EV_NEW) == 1);
    const auto lost = std::ranges::find(next.events, RAIND_EV_LOST, &raind_event::type);
    REQUIRE(lost != next.events.end());
    CHECK(lost->count == 8);
    CHECK(lost->src_ep == 101);
}

TEST_CASE("full rings: verdicts stay, the number lost is said, denials push out no flows") {
    constexpr std::uint16_t kCount = 40;
    World w = world(Rules().allow(kWebId, kDbId, 17, 0, 257));
    w.ring_bytes = 4096;
    w.endpoints[kWeb].spec.event_rate = 1000;
    must(harness().reset(w));
    const auto lost = [](std::uint32_t kind) {
        return *must(harness().datapath().lost.lookup(kind));
    };
    for (std::uint16_t i = 0; i < kCount; i++) {
        const Bytes denied =
            frame(web(), db(), 4).tcp(40000, static_cast<std::uint16_t>(7000 + i), kSyn).build();
        const Observed seen = must(harness().run_unread(from(kWeb, "denied", denied, {})));
        CHECK(seen.outcome != Outcome::Deliver);
        CHECK_FALSE(seen.flow);
    }
    const std::uint64_t denials = lost(RAIND_LOST_DENY_RING);
    CHECK(denials > 0);
    CHECK(denials < kCount);
    for (std::uint16_t i = 0; i < kCount; i++) {
        const Bytes allowed = datagram(static_cast<std::uint16_t>(41000 + i));
        const Observed seen = must(harness().run_unread(from(kWeb, "allowed", allowed, {})));
        CHECK(seen.outcome == Outcome::Deliver);
        CHECK(seen.flow);
        if (i == 0)
            CHECK(lost(RAIND_LOST_FLOW_RING) == 0);
    }
    const std::uint64_t flows = lost(RAIND_LOST_FLOW_RING);
    CHECK(flows > 0);
    CHECK(flows < kCount);

    const std::vector<raind_event> kept = harness().events();
    CHECK(count_type(kept, RAIND_EV_DENY) == kCount - denials);
    CHECK(count_type(kept, RAIND_EV_NEW) == kCount - flows);
    const std::vector<raind_event> next = run(datagram(42000)).events;
    CHECK(count_type(next, RAIND_EV_NEW) == 1);
    const auto said = std::ranges::find(next, RAIND_EV_LOST, &raind_event::type);
    REQUIRE(said != next.end());
    CHECK(said->count == flows);
    CHECK(said->lost_kind == RAIND_LOST_FLOW_RING);
    CHECK(count_type(run(datagram(42001)).events, RAIND_EV_LOST) == 0);
}

TEST_CASE("quotas are recounted") {
    must(harness().reset(world(Rules().allow(kWebId, kDbId, 17, 0, 257))));
    run(datagram(41000));
    run(datagram(41001));
    raind_quota quota = *must(harness().datapath().quota.lookup(101));
    CHECK(quota.open_out == 2);
    quota.open_out = 77;
    must(harness().datapath().quota.update(101, quota));
    CHECK(must(harness().sweeper().run(RAIND_SWEEP_RECOUNT)).recounted == 1);
    CHECK(must(harness().datapath().quota.lookup(101))->open_out == 2);
    CHECK(must(harness().datapath().total.lookup(0))->flows == 2);
}

TEST_CASE("a commit that cannot be carried out changes nothing") {
    const core::CompiledSet one = Rules().allow(kWebId, kDbId, 17, 5000, 257).done(7);
    must(harness().reset(world({one})));
    CHECK(must(harness().committer().applied()).revision == 7);
    core::CompiledSet bad = Rules().done(8);
    bad.identities.front().chain.assign(RAIND_MAX_CHAIN + 1, RAIND_ID_ANY);
    CHECK(harness().committer().apply(bad).error().code() == Errc::TooLarge);
    bad = Rules().done(8);
    bad.masks.assign(RAIND_MAX_MASKS + 1, {});
    CHECK(harness().committer().apply(bad).error().code() == Errc::TooLarge);
    CHECK(must(harness().committer().applied()).revision == 7);
    CHECK(run(datagram()).outcome == Outcome::Deliver);
}

TEST_CASE("what a dry run counts is what the commit does") {
    const core::CompiledSet one = Rules().allow(kWebId, kDbId, 17, 0, 257).done(1);
    const core::CompiledSet two = Rules().allow(kWebId, kDbId, 17, 5000, 257).done(2);
    must(harness().reset(world({two, one})));
    must(harness().committer().apply(one));
    run(datagram(41000, 5000));
    run(datagram(41000, 5001));
    const core::SweepCounts plan = must(harness().committer().dry_run(0));
    CHECK(plan.kept == 1);
    CHECK(plan.cut == 1);
    must(harness().committer().apply(two));
    const core::SweepCounts done = must(harness().committer().rejudge());
    CHECK(done.kept == 1);
    CHECK(done.cut == 1);
    const auto events = harness().events();
    REQUIRE(count_type(events, RAIND_EV_CUT) == 1);
    const auto cut = std::ranges::find(events, RAIND_EV_CUT, &raind_event::type);
    CHECK(cut->revision == 2);
    CHECK(cut->rule == RAIND_RULE_EW_DEFAULT);
}

TEST_CASE("a restart finds everything as it was") {
    must(harness().reset(world(Rules().allow(kWebId, kDbId, 17, 5000, 257))));
    run(datagram());
    const auto again = must(bpf::Datapath::load({.bpffs = harness().bpffs()}));
    CHECK(!again->programs_replaced());
    CHECK(must(again->ct.keys()).size() == 1);
    const bpf::Sweeper sweeper(*again);
    const bpf::Committer committer = must(bpf::Committer::make(*again, sweeper));
    CHECK(must(committer.applied()).revision == 1);
    const bpf::EndpointMaps endpoints(*again);
    CHECK(must(endpoints.last_id()) == 103);
    CHECK(must(endpoints.endpoints()).size() == 3);
}

TEST_CASE("other programs on the pins are replaced, another layout is refused") {
    const std::filesystem::path root = harness().bpffs() / "other";
    must(make_dirs(root));
    const bpf::LoadOptions options{
        .bpffs = root, .flow_entries = 64, .ring_flow = 4096, .ring_deny = 4096};
    auto first = must(bpf::Datapath::load(options));
    must(bpf::repin(first->to_fd(), first->pins().program("raind_from")));
    CHECK(must(bpf::Datapath::load(options))->programs_replaced());
    CHECK(!must(bpf::Datapath::load(options))->programs_replaced());

    const UniqueFd foreign(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "raind_beat", 4, 8, 1, nullptr));
    REQUIRE(foreign.valid());
    must(bpf::repin(foreign.get(), first->pins().map("raind_beat")));
    const auto refused = bpf::Datapath::load(options);
    REQUIRE(!refused.has_value());
    CHECK(refused.error().code() == Errc::Conflict);
    must(first->pins().remove_all());
    CHECK(std::filesystem::is_empty(root));
}

namespace {

struct Field {
    const char* type;
    const char* name;
    std::size_t offset;
};

#define FIELD(type, name)                  \
    Field {                                \
        #type, #name, offsetof(type, name) \
    }

const std::vector<Field> kFields = {
    FIELD(raind_endpoint, identity),
    FIELD(raind_endpoint, ip4),
    FIELD(raind_endpoint, ip6),
    FIELD(raind_endpoint, mac),
    FIELD(raind_endpoint, gw_mac),
    FIELD(raind_endpoint, mtu),
    FIELD(raind_endpoint, event_rate),
    FIELD(raind_endpoint, name),
    FIELD(raind_addrval, flags),
    FIELD(raind_addrval, mac),
    FIELD(raind_addrval, mtu),
    FIELD(raind_gen, gen),
    FIELD(raind_gen, digest),
    FIELD(raind_gen, default_ns),
    FIELD(raind_gen, nmask),
    FIELD(raind_gen, masks),
    FIELD(raind_polkey, dst),
    FIELD(raind_polkey, port),
    FIELD(raind_polkey, proto),
    FIELD(raind_polval, precedence),
    FIELD(raind_polval, action),
    FIELD(raind_chain, cls),
    FIELD(raind_ctkey, b),
    FIELD(raind_ctkey, pa),
    FIELD(raind_ctkey, proto),
    FIELD(raind_ctkey, icmp_type),
    FIELD(raind_ctkey, icmp_from_b),
    FIELD(raind_ctval, rule),
    FIELD(raind_ctval, flow_id),
    FIELD(raind_ctval, last),
    FIELD(raind_ctval, bytes),
    FIELD(raind_ctval, state),
    FIELD(raind_ctval, dport),
    FIELD(raind_ctval, revision),
    FIELD(raind_quota, limit_out),
    FIELD(raind_quota, events_lost),
    FIELD(raind_quota, over_out),
    FIELD(raind_quota, deny_open),
    FIELD(raind_event, revision),
    FIELD(raind_event, src),
    FIELD(raind_event, sport),
    FIELD(raind_event, count),
    FIELD(raind_event, src_ep),
    FIELD(raind_event, packets_fwd),
    FIELD(raind_event, flow_id),
    FIELD(raind_event, comm),
    FIELD(raind_event, ifindex),
    FIELD(raind_event, end),
    FIELD(raind_denyval, event),
    FIELD(raind_prefix, addr),
};

#define SIZE(type) {#type, sizeof(type)}

const std::vector<std::pair<const char*, std::size_t>> kSizes = {
    SIZE(raind_endpoint), SIZE(raind_addrval), SIZE(raind_gen),      SIZE(raind_polkey),
    SIZE(raind_polval),   SIZE(raind_chain),   SIZE(raind_identval), SIZE(raind_ctkey),
    SIZE(raind_ctval),    SIZE(raind_quota),   SIZE(raind_epstat),   SIZE(raind_rulehit),
    SIZE(raind_denykey),  SIZE(raind_denyval), SIZE(raind_event),    SIZE(raind_prefix),
    SIZE(raind_ip),       SIZE(raind_beat),    SIZE(raind_total),    SIZE(raind_counter),
};

const btf_type* struct_of(const btf* types, const char* name) {
    const int id = ::btf__find_by_name_kind(types, name, BTF_KIND_STRUCT);
    REQUIRE_MESSAGE(id > 0, "no BTF of " << name);
    return ::btf__type_by_id(types, static_cast<std::uint32_t>(id));
}

}  // namespace

TEST_CASE("layouts in the object's BTF are those of C++") {
    const bpf::BpfObject object = must(bpf::BpfObject::open(bpf::tc_object(), "raind_tc"));
    const btf* types = ::bpf_object__btf(object.get());
    REQUIRE(types != nullptr);
    for (const auto& [name, size] : kSizes)
        CHECK_MESSAGE(struct_of(types, name)->size == size, name);
    for (const Field& field : kFields) {
        const btf_type* type = struct_of(types, field.type);
        const btf_member* members = btf_members(type);
        const auto end = members + btf_vlen(type);
        const auto found = std::find_if(members, end, [&](const btf_member& m) {
            return std::string_view(::btf__name_by_offset(types, m.name_off)) == field.name;
        });
        REQUIRE_MESSAGE(found != end, field.type << "." << field.name);
        CHECK_MESSAGE(found->offset == field.offset * 8, field.type << "." << field.name);
    }
}
