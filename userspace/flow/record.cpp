#include "userspace/flow/record.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "raind/abi/names.h"

#include "userspace/common/crypto.h"
#include "userspace/flow/json_writer.h"
#include "userspace/flow/parties.h"

namespace raind::flow {

namespace {

constexpr std::uint64_t kSchemaVersion = 1;
constexpr std::uint64_t kNsPerMs = 1'000'000;

bool is_audit(const raind_event& event) {
    return event.verdict == RAIND_V_AUDIT || event.type == RAIND_EV_AUDIT ||
           (event.flags & RAIND_EVF_AUDIT) != 0;
}

// What happened to the packets: under audit they passed.
std::string_view verdict_of(const raind_event& event) {
    if (is_audit(event))
        return "allow";
    switch (event.verdict) {
        case RAIND_V_ALLOW:
            return "allow";
        case RAIND_V_DENY:
            return "deny";
        default:
            return "unknown";
    }
}

// The identity of a user's rule, or nullptr for what nobody wrote.
struct PolicyName {
    bool user = false;
    std::string id;
    bool known = true;
};

PolicyName policy_of(const raind_event& event, const Snapshot& identities) {
    PolicyName name;
    if (event.rule < RAIND_RULE_USER)
        return name;
    name.user = true;
    const std::string* id = identities.policy_id(event.rule);
    name.known = id != nullptr;
    name.id = id != nullptr ? *id : "rule-" + std::to_string(event.rule);
    return name;
}

// The prefix that the netfilter backend logs with: RAIND-<EW or NS>-<ALLOW or DENY>,id=<id>.
std::string rule_hint(std::string_view kind, std::string_view verdict, const PolicyName& policy) {
    if (kind == "unknown" || verdict == "unknown")
        return {};
    std::string hint = kind == "east-west" ? "RAIND-EW-" : "RAIND-NS-";
    hint += verdict == "allow" ? "ALLOW" : "DENY";
    hint += ",id=";
    hint += policy.user ? policy.id : "predefined";
    return hint;
}

std::string raw_hash(const raind_event& event) {
    const auto bytes = std::as_bytes(std::span(&event, 1));
    return to_hex(sha256(bytes));
}

void write_container(JsonWriter& json, const Endpoint& endpoint) {
    json.string("container_id", endpoint.container_id);
    json.string("container_name", endpoint.name);
    json.string_if("spiffe_id", endpoint.spiffe_id);
    json.string_if("veth", endpoint.veth);
    json.string_if("container_uid", endpoint.container_uid);
}

void write_party(JsonWriter& json, std::string_view name, const Party& party) {
    json.begin(name);
    json.plain("kind", party.kind);
    if (!party.ip.is_zero())
        json.plain("ip", party.ip.to_string());
    if (party.port != 0)
        json.number("port", party.port);
    if (party.endpoint != nullptr)
        write_container(json, *party.endpoint);
    if (!party.scope.empty())
        json.plain("scope", party.scope);
    json.end();
}

void write_policy(JsonWriter& json, const PolicyName& policy) {
    json.begin("policy");
    json.plain("source", policy.user ? "user" : "predefined");
    if (policy.user)
        json.string("id", policy.id);
    json.end();
}

void write_reason(JsonWriter& json, std::uint8_t reason) {
    const std::string_view name = abi::reason_name(reason);
    if (name.empty())
        json.plain("verdict_reason", "reason-" + std::to_string(reason));
    else if (reason != RAIND_R_NONE)
        json.plain("verdict_reason", name);
}

void write_both(JsonWriter& json, std::string_view name, std::uint64_t forward,
                std::uint64_t reverse) {
    json.begin(name);
    json.number("forward", forward);
    json.number("reverse", reverse);
    json.end();
}

}  // namespace

void RecordMaker::begin_batch(std::shared_ptr<const Snapshot> identities) {
    identities_ = std::move(identities);
    received_ = wall_now();
    boot_offset_ = received_.ns - static_cast<std::int64_t>(boottime_ns());
}

WallTime RecordMaker::wall(std::uint64_t boottime) const {
    return {static_cast<std::int64_t>(boottime) + boot_offset_};
}

void RecordMaker::times(JsonWriter& json, std::uint64_t boottime) {
    json.plain("generated_ts", generated_text_.format(wall(boottime)));
    json.plain("received_ts", received_text_.format(received_));
}

// The part that netflow records and records of ends have in common.
void RecordMaker::head(JsonWriter& json, const raind_event& event, const Form& form) {
    const Parties parties = resolve_parties(event, *identities_);
    const PolicyName policy = policy_of(event, *identities_);
    const std::string_view verdict = form.verdict.empty() ? verdict_of(event) : form.verdict;
    times(json, form.boottime);
    json.plain("event_type", form.event_type);
    write_policy(json, policy);
    json.plain("kind", parties.kind);
    json.plain("verdict", verdict);
    json.plain("proto", proto_name(event));
    write_party(json, "src", parties.src);
    write_party(json, "dst", parties.dst);
    if (is_icmp(event)) {
        json.begin("icmp");
        json.number("type", event.icmp_type);
        json.number("code", event.icmp_code);
        json.end();
    }
    if (const std::string hint = rule_hint(parties.kind, verdict, policy); !hint.empty())
        json.string("rule_hint", hint);
    json.plain("raw_hash", raw_hash(event));
    std::string reason = parties.reason;
    if (!reason.empty())
        json.boolean("unresolved", true);
    if (!policy.known)
        reason += reason.empty() ? "rule not known" : "; rule not known";
    json.string_if("reason", reason);
    write_reason(json, event.reason);
    if (!parties.direction.empty())
        json.plain("direction", parties.direction);
    if ((event.flags & RAIND_EVF_PUBLISHED) != 0)
        json.boolean("published", true);
    if (!parties.claimed.is_zero())
        json.plain("claimed_ip", parties.claimed.to_string());
    if (is_audit(event))
        json.boolean("audit", true);
    // Text, because a JSON reader with doubles would round it.
    if (event.flow_id != 0)
        json.plain("flow_id", std::to_string(event.flow_id));
    json.number("revision", event.revision);
    process(json, event);
}

void RecordMaker::process(JsonWriter& json, const raind_event& event) {
    if (event.pid != 0) {
        json.begin("process");
        json.number("pid", event.pid);
        json.number("uid", event.uid);
        json.string("comm", std::string_view(event.comm, strnlen(event.comm, sizeof(event.comm))));
        json.end();
    }
    json.string("node", node_);
    json.number("schema_version", kSchemaVersion);
}

void RecordMaker::netflow(const raind_event& event, std::string& out) {
    const bool at_end = event.type == RAIND_EV_END || event.type == RAIND_EV_CUT;
    JsonWriter json(out);
    // The flow itself was permitted, whatever ended it.
    if (at_end)
        head(json, event,
             {"log.netflow", event.started != 0 ? event.started : event.time, "allow"});
    else
        head(json, event, {"log.netflow", event.time, {}});
    if (event.type == RAIND_EV_DENY && event.count != 0)
        json.number("suppressed", event.count);
    json.end();
    out += '\n';
}

void RecordMaker::flow_end(const raind_event& event, std::string& out) {
    JsonWriter json(out);
    head(json, event, {"log.flow", event.time, {}});
    if (event.started != 0)
        json.plain("started_ts", generated_text_.format(wall(event.started)));
    write_both(json, "packets", event.packets_fwd, event.packets_rev);
    write_both(json, "bytes", event.bytes_fwd, event.bytes_rev);
    const bool timed = event.started != 0 && event.time >= event.started;
    json.number("duration_ms", timed ? (event.time - event.started) / kNsPerMs : 0);
    const std::string_view end = abi::end_name(event.end);
    if (event.type == RAIND_EV_CUT) {
        json.plain("end_reason", "cut");
        json.number("cut_by_revision", event.revision);
    } else {
        json.plain("end_reason", end.empty() ? "end-" + std::to_string(event.end) : end);
    }
    json.end();
    out += '\n';
}

void RecordMaker::loss(const Loss& loss, std::string& out) {
    JsonWriter json(out);
    times(json, boottime_ns());
    json.plain("event_type", "log.lost");
    json.number("count", loss.count);
    json.string("where", loss.where);
    if (loss.ep_id != 0) {
        if (const Endpoint* endpoint = identities_->by_ep(loss.ep_id))
            write_container(json, *endpoint);
        else
            json.number("ep_id", loss.ep_id);
    }
    json.string("node", node_);
    json.number("schema_version", kSchemaVersion);
    json.end();
    out += '\n';
}

}  // namespace raind::flow
