// Flows of the evaluator: section 7 of the datapath design, and the question to the policy.
#include <algorithm>
#include <iterator>

#include "userspace/core/evaluator_work.h"

namespace raind::core {

namespace {

bool proper_first(const Packet& packet) {
    if (packet.protocol == kProtoTcp)
        return (packet.tcp_flags & (kTcpSyn | kTcpAck | kTcpFin | kTcpRst)) == kTcpSyn;
    return packet.icmp != IcmpKind::Reply;
}

bool tuple_reused(const Packet& packet, const Flow& flow, bool reply) {
    const bool opens =
        packet.protocol == kProtoTcp && (packet.tcp_flags & (kTcpSyn | kTcpAck)) == kTcpSyn;
    return opens && (reply || flow.state == RAIND_CT_CLOSED);
}

}  // namespace

SweepCounts Evaluator::rejudge() {
    SweepCounts counts;
    auto& flows = flows_.flows();
    for (auto it = flows.begin(); it != flows.end();) {
        ++counts.walked;
        const bool cut = it->second.generation != generation_ && judge_again(it->second).denied();
        ++(cut ? counts.cut : counts.kept);
        it = cut ? flows.erase(it) : std::next(it);
    }
    return counts;
}

SweepCounts Evaluator::sweep() {
    SweepCounts counts;
    std::erase_if(flows_.flows(), [&](const auto& entry) {
        ++counts.walked;
        const bool gone = expired(entry.first, entry.second);
        ++(gone ? counts.expired : counts.kept);
        return gone;
    });
    return counts;
}

void Evaluator::age_flows(std::uint64_t ns) {
    for (auto& [key, flow] : flows_.flows())
        flow.last -= std::min(flow.last, ns);
}

bool Evaluator::expired(const FlowKey& key, const Flow& flow) const {
    return now_ > flow.last && now_ - flow.last > idle_life(key.protocol, flow.state);
}

// Judges again in the opener's direction; a permitted flow belongs to the new generation.
Verdict Evaluator::judge_again(Flow& flow) const {
    if (policy_ == nullptr)
        return {.reason = RAIND_R_NO_GENERATION};
    const Verdict verdict = policy_->judge({
        .source = flow.opener.identity,
        .destination = flow.other.identity,
        .source_address = flow.opener_address,
        .destination_address = flow.other_address,
        .protocol = flow.protocol,
        .port = flow.policy_port,
        .endpoint_flags = flow.endpoint_flags,
        .published = flow.published,
    });
    if (verdict.denied())
        return verdict;
    flow.rule = verdict.rule;
    flow.match_class = verdict.match_class;
    flow.audit = verdict.verdict == RAIND_V_AUDIT;
    flow.generation = generation_;
    return verdict;
}

raind_reason Evaluator::judge_flow(Work& work) {
    if (work.packet.icmp == IcmpKind::Error)
        return RAIND_R_ICMP_ERROR;
    work.key = flow_key(work.packet);
    bool decided = false;
    const raind_reason reason = known_flow(work, decided);
    return decided ? reason : new_flow(work);
}

// Sets `decided` when an entry answers for the packet; an entry that is not valid any more is gone
// afterwards.
raind_reason Evaluator::known_flow(Work& work, bool& decided) {
    Flow* flow = flows_.find(work.key.key);
    if (flow == nullptr)
        return RAIND_R_NONE;
    const bool reply = work.key.source_is_b != flow->opener_is_b;
    const bool same = reply ? flow->opener == work.destination && flow->other == work.source
                            : flow->opener == work.source && flow->other == work.destination;
    if (expired(work.key.key, *flow) || !same || tuple_reused(work.packet, *flow, reply)) {
        flows_.erase(work.key.key);
        return RAIND_R_NONE;
    }
    decided = true;
    if (flow->generation != generation_) {
        // The record of a cut names the rule that takes the permission away.
        const Verdict verdict = judge_again(*flow);
        if (verdict.denied()) {
            work.rule = verdict.rule;
            work.match_class = verdict.match_class;
            work.event = RAIND_EV_CUT;
            flows_.erase(work.key.key);
            return RAIND_R_CUT;
        }
    }
    advance_flow(*flow, work.packet, reply, now_);
    work.rule = flow->rule;
    work.match_class = flow->match_class;
    work.slow = flow->slow;
    work.permitted = true;
    return RAIND_R_ESTABLISHED;
}

Flow Evaluator::make_flow(const Work& work, const Verdict& verdict, bool published) const {
    Flow flow;
    flow.opener = work.source;
    flow.other = work.destination;
    flow.opener_address = work.packet.source;
    flow.other_address = work.packet.destination;
    flow.protocol = work.packet.protocol;
    flow.opener_is_b = work.key.source_is_b;
    flow.inbound = work.inbound();
    flow.published = published;
    flow.audit = verdict.verdict == RAIND_V_AUDIT;
    flow.endpoint_flags = work.endpoint->flags;
    flow.generation = generation_;
    flow.rule = verdict.rule;
    flow.match_class = verdict.match_class;
    flow.slow = work.inbound() || work.publish;
    flow.policy_port = work.publish ? work.behind_port : work.packet.policy_port;
    flow.last = now_;
    return flow;
}

raind_reason Evaluator::new_flow(Work& work) {
    const Packet& packet = work.packet;
    if (work.hairpin)  // opens nothing
        return RAIND_R_SPOOF;
    if (!proper_first(packet))
        return RAIND_R_NOT_FIRST;
    const EndpointSpec& own = work.endpoint->spec;
    if (!flows_.has_share(own.ep_id, work.inbound(),
                          work.inbound() ? own.ct_in_limit : own.ct_out_limit))
        return RAIND_R_CT_LIMIT;
    if (policy_ == nullptr)
        return RAIND_R_NO_GENERATION;
    const Question question{
        .source = work.source.identity,
        .destination = work.destination.identity,
        .source_address = packet.source,
        .destination_address = packet.destination,
        .protocol = packet.protocol,
        .port = work.publish ? work.behind_port : packet.policy_port,
        .endpoint_flags = work.endpoint->flags,
        .published =
            work.publish || (work.inbound() && (work.in.mark & RAIND_STAMP_PUBLISHED) != 0),
    };
    const Verdict verdict = policy_->judge(question);
    work.rule = verdict.rule;
    work.match_class = verdict.match_class;
    if (verdict.denied())
        return verdict.reason;
    if (flows_.full())
        return RAIND_R_CT_FULL;
    const Flow flow = make_flow(work, verdict, question.published);
    flows_.insert(work.key.key, flow);
    work.slow = flow.slow;
    work.permitted = true;
    // After the translation of a published port: the opener's port has recorded it.
    const bool second = work.inbound() && work.source.endpoint != 0;
    if (!second)
        work.event = flow.audit ? RAIND_EV_AUDIT : RAIND_EV_NEW;
    return verdict.reason;
}

}  // namespace raind::core
