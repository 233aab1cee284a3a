#include "tests/unit/flow/fixture.h"
#include "userspace/flow/parties.h"

using namespace raind;
using namespace raind::flow;
using namespace raind::flow::test;

namespace {

Parties resolve(const raind_event& event) {
    IdentityTable table;
    fill(table);
    // Names are compared inside this call only; the snapshot is gone after it.
    Parties out = resolve_parties(event, *table.snapshot());
    out.src.endpoint = nullptr;
    out.dst.endpoint = nullptr;
    return out;
}

}  // namespace

TEST_CASE("kind and direction") {
    raind_event event = allow();
    CHECK(resolve(event).kind == "east-west");
    CHECK(resolve(event).direction == "east-west");
    event.dst_ep = 0;
    event.dst_identity = RAIND_ID_WORLD;
    event.dst = ip("203.0.113.7");
    event.flags = RAIND_EVF_OUT;
    CHECK(resolve(event).kind == "north-south");
    CHECK(resolve(event).direction == "egress");
    event = allow();
    event.src_ep = 0;
    event.src_identity = RAIND_ID_HOST;
    event.src = ip("192.0.2.1");
    event.flags = RAIND_EVF_IN | RAIND_EVF_HOST;
    CHECK(resolve(event).kind == "north-south");
    CHECK(resolve(event).direction == "ingress");
    CHECK(resolve(event).src.scope == "host");
    event = deny();
    event.flags = 0;
    event.dst_ep = 0;
    event.dst_identity = RAIND_ID_SPECIAL;
    event.dst = ip("224.0.0.1");
    CHECK(resolve(event).kind == "unknown");
}

TEST_CASE("the sender's own addresses are no claim, foreign ones are") {
    raind_event event = deny();
    event.reason = RAIND_R_SRC_MAC;
    CHECK(resolve(event).claimed.is_zero());
    event.src = ip("10.166.0.9");
    CHECK(resolve(event).claimed.to_string() == "10.166.0.9");
    CHECK(resolve(event).src.ip.to_string() == "10.166.0.1");
    event.family = 6;
    event.src = ip("fd00::2");
    CHECK(resolve(event).claimed.to_string() == "fd00::2");
    CHECK(resolve(event).src.ip.to_string() == "fd00::1");
    event.src_ep = 99;
    event.reason = RAIND_R_SRC_IP;
    CHECK(resolve(event).claimed.to_string() == "fd00::2");
    CHECK(resolve(event).src.ip.is_zero());
}

TEST_CASE("a frame from no endpoint has no known sender") {
    raind_event event = deny();
    event.reason = RAIND_R_NO_ENDPOINT;
    event.src_ep = 0;
    event.src_identity = 0;
    event.dst_ep = 0;
    event.dst_identity = 0;
    event.flags = RAIND_EVF_OUT;
    CHECK(resolve(event).src.kind == "unknown");
    CHECK(resolve(event).kind == "unknown");
    CHECK(resolve(event).direction == "egress");
}

TEST_CASE("protocol names") {
    raind_event event = allow();
    CHECK(proto_name(event) == "TCP");
    event.proto = 17;
    CHECK(proto_name(event) == "UDP");
    event.proto = 58;
    CHECK(proto_name(event) == "ICMPV6");
    CHECK_FALSE(is_icmp(event));
    event.family = 6;
    CHECK(is_icmp(event));
    event.proto = 132;
    CHECK(proto_name(event) == "IPPROTO_132");
    event.family = 0;
    CHECK(proto_name(event) == "UNKNOWN");
}
