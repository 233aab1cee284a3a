#include <span>

#include "tests/unit/flow/fixture.h"
#include "userspace/common/crypto.h"
#include "userspace/common/json.h"
#include "userspace/flow/record.h"

using namespace raind;
using namespace raind::flow;
using namespace raind::flow::test;

namespace {

struct Fixture {
    IdentityTable table;
    RecordMaker maker{"node-1"};

    Fixture() { fill(table); }
    std::string netflow(const raind_event& event) {
        std::string out;
        maker.begin_batch(table.snapshot());
        maker.netflow(event, out);
        return out;
    }
    std::string flow_end(const raind_event& event) {
        std::string out;
        maker.begin_batch(table.snapshot());
        maker.flow_end(event, out);
        return out;
    }
};

// The record without its times, which are checked in a test of their own.
std::string body(const std::string& line) {
    const auto begin = line.find("\"event_type\"");
    REQUIRE(line.starts_with("{\"generated_ts\":\""));
    REQUIRE(line.ends_with("}\n"));
    REQUIRE(begin != std::string::npos);
    return "{" + line.substr(begin, line.size() - begin - 1);
}

std::string hash(const raind_event& event) {
    return to_hex(sha256(std::as_bytes(std::span(&event, 1))));
}

std::string web(const std::string& ip, const std::string& port = {}) {
    return R"({"kind":"container","ip":")" + ip + "\"," +
           (port.empty() ? "" : R"("port":)" + port + ",") + kWebJson + "}";
}

std::string db(const std::string& ip, const std::string& port = {}) {
    return R"({"kind":"container","ip":")" + ip + "\"," +
           (port.empty() ? "" : R"("port":)" + port + ",") + kDbJson + "}";
}

constexpr const char* kTail = R"("node":"node-1","schema_version":1})";

}  // namespace

TEST_CASE("allow by a user's policy") {
    Fixture f;
    const raind_event event = allow();
    CHECK(
        body(f.netflow(event)) ==
        std::string(R"({"event_type":"log.netflow","policy":{"source":"user","id":")") + kPolicy +
            R"("},"kind":"east-west","verdict":"allow","proto":"TCP","src":)" +
            web("10.166.0.1", "40112") + R"(,"dst":)" + db("10.166.0.2", "8080") +
            R"(,"rule_hint":"RAIND-EW-ALLOW,id=)" + kPolicy + R"(","raw_hash":")" + hash(event) +
            R"(","verdict_reason":"policy","direction":"east-west","flow_id":"77","revision":3,)" +
            kTail);
}

TEST_CASE("deny by default, with what was suppressed") {
    Fixture f;
    raind_event event = deny();
    event.count = 41;
    CHECK(
        body(f.netflow(event)) ==
        R"({"event_type":"log.netflow","policy":{"source":"predefined"},"kind":"east-west","verdict":"deny","proto":"TCP","src":)" +
            web("10.166.0.1", "40112") + R"(,"dst":)" + db("10.166.0.2", "8080") +
            R"(,"rule_hint":"RAIND-EW-DENY,id=predefined","raw_hash":")" + hash(event) +
            R"(","verdict_reason":"default","direction":"east-west","revision":3,"node":"node-1","schema_version":1,"suppressed":41})");
}

TEST_CASE("north-south out, and the host's side by its scope") {
    Fixture f;
    raind_event event = allow();
    event.flags = RAIND_EVF_OUT;
    event.reason = RAIND_R_DEFAULT;
    event.rule = RAIND_RULE_NS_OBSERVE;
    event.dst = ip("203.0.113.7");
    event.dst_ep = 0;
    event.dst_identity = RAIND_ID_WORLD;
    event.dport = 443;
    CHECK(
        body(f.netflow(event)) ==
        R"({"event_type":"log.netflow","policy":{"source":"predefined"},"kind":"north-south","verdict":"allow","proto":"TCP","src":)" +
            web("10.166.0.1", "40112") +
            R"(,"dst":{"kind":"external","ip":"203.0.113.7","port":443},"rule_hint":"RAIND-NS-ALLOW,id=predefined","raw_hash":")" +
            hash(event) +
            R"(","verdict_reason":"default","direction":"egress","flow_id":"77","revision":3,)" +
            kTail);
    event.dst = ip("10.166.0.254");
    event.dst_identity = RAIND_ID_GATEWAY;
    event.flags = RAIND_EVF_OUT | RAIND_EVF_HOST;
    const std::string line = f.netflow(event);
    CHECK(line.find(
              R"("dst":{"kind":"external","ip":"10.166.0.254","port":443,"scope":"gateway"})") !=
          std::string::npos);
    CHECK(line.find(R"("kind":"north-south")") != std::string::npos);
}

TEST_CASE("ICMP and ICMPv6 have type and code, and no ports") {
    Fixture f;
    raind_event event = deny();
    event.proto = 1;
    event.icmp_type = 8;
    event.dport = 0;
    CHECK(
        body(f.netflow(event)) ==
        R"({"event_type":"log.netflow","policy":{"source":"predefined"},"kind":"east-west","verdict":"deny","proto":"ICMP","src":)" +
            web("10.166.0.1") + R"(,"dst":)" + db("10.166.0.2") +
            R"(,"icmp":{"type":8,"code":0},"rule_hint":"RAIND-EW-DENY,id=predefined","raw_hash":")" +
            hash(event) + R"(","verdict_reason":"default","direction":"east-west","revision":3,)" +
            kTail);
    event.family = 6;
    event.proto = 58;
    event.src = ip("fd00::1");
    event.dst = ip("fd00::2");
    event.icmp_type = 128;
    event.icmp_code = 3;
    CHECK(
        body(f.netflow(event)) ==
        R"({"event_type":"log.netflow","policy":{"source":"predefined"},"kind":"east-west","verdict":"deny","proto":"ICMPV6","src":)" +
            web("fd00::1") + R"(,"dst":)" + db("fd00::2") +
            R"(,"icmp":{"type":128,"code":3},"rule_hint":"RAIND-EW-DENY,id=predefined","raw_hash":")" +
            hash(event) + R"(","verdict_reason":"default","direction":"east-west","revision":3,)" +
            kTail);
}

TEST_CASE("an impersonation is recorded against the port that tried, never under the claim") {
    Fixture f;
    raind_event event = deny();
    event.reason = RAIND_R_SRC_IP;
    event.rule = 0;
    event.flags = 0;
    event.src = ip("10.166.0.2");  // web says it is db
    event.dst = ip("10.166.0.2");
    event.dst_ep = 0;
    event.dst_identity = 0;
    const std::string line = f.netflow(event);
    CHECK(
        body(line) ==
        R"({"event_type":"log.netflow","policy":{"source":"predefined"},"kind":"east-west","verdict":"deny","proto":"TCP","src":)" +
            web("10.166.0.1", "40112") + R"(,"dst":)" + db("10.166.0.2", "8080") +
            R"(,"rule_hint":"RAIND-EW-DENY,id=predefined","raw_hash":")" + hash(event) +
            R"(","verdict_reason":"src_ip","direction":"east-west","claimed_ip":"10.166.0.2","revision":3,)" +
            kTail);
}

TEST_CASE("an address from outside its port names nobody") {
    Fixture f;
    raind_event event = deny();
    event.reason = RAIND_R_UNSTAMPED;  // with the endpoint that the address stands for
    event.rule = 0;
    const std::string line = f.netflow(event);
    CHECK(line.find(R"("src":{"kind":"unknown","ip":"10.166.0.1","port":40112})") !=
          std::string::npos);
    CHECK(line.find(R"("claimed_ip":"10.166.0.1")") != std::string::npos);
    CHECK(line.find("\"web\"") == std::string::npos);
    CHECK(line.find(R"("kind":"north-south","verdict":"deny")") != std::string::npos);
    CHECK(line.find(R"("direction":"ingress")") != std::string::npos);
}

TEST_CASE("under audit the packet passed") {
    Fixture f;
    raind_event event = deny();
    event.type = RAIND_EV_AUDIT;
    event.verdict = RAIND_V_AUDIT;
    const std::string line = f.netflow(event);
    CHECK(line.find(R"("verdict":"allow")") != std::string::npos);
    CHECK(line.find(R"("audit":true)") != std::string::npos);
}

TEST_CASE("what is not known is said") {
    Fixture f;
    raind_event event = allow();
    event.src_ep = 99;
    event.rule = 999;
    event.reason = 200;
    std::string line = f.netflow(event);
    CHECK(line.find(R"("src":{"kind":"container_unresolved","ip":"10.166.0.1","port":40112})") !=
          std::string::npos);
    CHECK(line.find(R"("unresolved":true,"reason":"src ip not mapped; rule not known")") !=
          std::string::npos);
    CHECK(line.find(R"("policy":{"source":"user","id":"rule-999"})") != std::string::npos);
    CHECK(line.find(R"("verdict_reason":"reason-200")") != std::string::npos);
    event = deny();
    event.reason = RAIND_R_SPECIAL;
    event.dst = ip("10.166.0.99");
    event.dst_ep = 0;
    event.dst_identity = RAIND_ID_POOL;
    line = f.netflow(event);
    CHECK(line.find(R"("dst":{"kind":"container_unresolved","ip":"10.166.0.99","port":8080})") !=
          std::string::npos);
    CHECK(line.find(R"("reason":"dst ip not mapped")") != std::string::npos);
    CHECK(line.find(R"("kind":"east-west")") != std::string::npos);
    event = deny();
    event.family = 0;
    event.proto = 0;
    event.reason = RAIND_R_VLAN;
    event.flags = RAIND_EVF_OUT;
    event.src = {};
    event.dst = {};
    event.sport = 0;
    event.dport = 0;
    event.dst_ep = 0;
    event.dst_identity = 0;
    line = f.netflow(event);
    CHECK(line.find(R"("kind":"unknown","verdict":"deny","proto":"UNKNOWN")") != std::string::npos);
    CHECK(line.find(R"("dst":{"kind":"unknown"})") != std::string::npos);
    CHECK(line.find("rule_hint") == std::string::npos);
}

TEST_CASE("the end of a flow has its totals") {
    Fixture f;
    const raind_event event = end_of_flow();
    const std::string line = f.flow_end(event);
    const auto json = parse_json(line);
    REQUIRE(json.has_value());
    CHECK((*json)["event_type"] == "log.flow");
    CHECK((*json)["packets"]["forward"] == 10);
    CHECK((*json)["packets"]["reverse"] == 8);
    CHECK((*json)["bytes"]["forward"] == 1000);
    CHECK((*json)["bytes"]["reverse"] == 900);
    CHECK((*json)["duration_ms"] == 1000);
    CHECK((*json)["end_reason"] == "fin");
    CHECK((*json)["flow_id"] == "77");
    CHECK((*json)["src"]["container_name"] == "web");
    CHECK((*json)["dst"]["container_uid"] == "01kx5a0n2k8cabcdefghjkmnpq");
    CHECK_FALSE(json->contains("cut_by_revision"));
}

TEST_CASE("a cut names the revision that cut") {
    Fixture f;
    raind_event event = end_of_flow();
    event.type = RAIND_EV_CUT;
    event.verdict = RAIND_V_DENY;
    event.reason = RAIND_R_CUT;
    event.rule = RAIND_RULE_EW_DEFAULT;
    event.end = RAIND_END_CUT;
    event.revision = 9;
    const auto json = parse_json(f.flow_end(event));
    REQUIRE(json.has_value());
    CHECK((*json)["end_reason"] == "cut");
    CHECK((*json)["revision"] == 9);
    CHECK((*json)["cut_by_revision"] == 9);
    CHECK((*json)["verdict"] == "deny");
    CHECK((*json)["verdict_reason"] == "cut");
    // If its first packet had no record, the record made now says that the flow was permitted.
    const auto late = parse_json(f.netflow(event));
    CHECK((*late)["verdict"] == "allow");
    CHECK((*late)["raw_hash"] == hash(event));
}

TEST_CASE("a loss has count, place and the one to blame") {
    Fixture f;
    std::string out;
    f.maker.begin_batch(f.table.snapshot());
    f.maker.loss({"kernel.tokens", 7, kWebEp}, out);
    CHECK(body(out) ==
          std::string(R"({"event_type":"log.lost","count":7,"where":"kernel.tokens",)") + kWebJson +
              "," + kTail);
    out.clear();
    f.maker.loss({"reader", 8, 0}, out);
    CHECK(body(out) ==
          std::string(R"({"event_type":"log.lost","count":8,"where":"reader",)") + kTail);
}

TEST_CASE("any bytes in names give one valid line") {
    Fixture f;
    for (const std::string& name :
         {std::string("a\xff\xfe\nb\"\\"), std::string("\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80"),
          std::string("\x00\x01\x1b[31m", 7), std::string("cut \xe2\x82"),
          std::string(300, '\x80')}) {
        f.table.rename(kWebEp, name);
        raind_event event = allow();
        event.pid = 5;
        std::memset(event.comm, 0xff, sizeof(event.comm));
        const std::string line = f.netflow(event);
        CHECK(line.find('\n') == line.size() - 1);
        for (const char c : line.substr(0, line.size() - 1))
            CHECK(static_cast<unsigned char>(c) >= 0x20);
        const auto json = parse_json(line);
        REQUIRE(json.has_value());
        CHECK((*json)["process"]["pid"] == 5);
    }
}

TEST_CASE("times are the kernel's and the daemon's, with the local offset") {
    setenv("TZ", "JST-9", 1);
    tzset();
    Fixture f;
    raind_event event = allow();
    event.time = boottime_ns() - 2'000'000'000;
    const WallTime before = wall_now();
    const auto json = parse_json(f.netflow(event));
    setenv("TZ", "UTC", 1);
    tzset();
    const std::string generated = (*json)["generated_ts"];
    const std::string received = (*json)["received_ts"];
    CHECK(generated.size() == 35);
    CHECK(generated.ends_with("+09:00"));
    const auto local = [](std::int64_t ns) {
        return rfc3339({ns + std::int64_t{9} * 3600 * 1'000'000'000}).substr(0, 18);
    };
    CHECK(received.substr(0, 18) == local(before.ns));
    CHECK(generated.substr(0, 18) == local(before.ns - 2'000'000'000));
}
