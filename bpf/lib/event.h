/* Records: building them, aggregation of denials, shares, loss. Attribution never decides a
 * verdict, and a lost record never changes one. */
#pragma once

#include "lib/util.h"

#define RING_WAKE_BYTES (256 * 1024)
#define DENY_INTERVAL RAIND_NS_PER_SEC
#define SPECIAL_INTERVAL (60 * RAIND_NS_PER_SEC)

/* Wakes the reader only when much is waiting: it polls every 100 ms anyway. */
RAIND_LEAF __u64 wake_flow(void) {
    return bpf_ringbuf_query(&raind_ev_flow, BPF_RB_AVAIL_DATA) >= RING_WAKE_BYTES
               ? BPF_RB_FORCE_WAKEUP
               : BPF_RB_NO_WAKEUP;
}

RAIND_LEAF __u64 wake_deny(void) {
    return bpf_ringbuf_query(&raind_ev_deny, BPF_RB_AVAIL_DATA) >= RING_WAKE_BYTES
               ? BPF_RB_FORCE_WAKEUP
               : BPF_RB_NO_WAKEUP;
}

RAIND_LEAF int ring_put(__u32 kind, struct raind_event* ev) {
    if (kind == RAIND_LOST_FLOW_RING)
        return bpf_ringbuf_output(&raind_ev_flow, ev, sizeof(*ev), wake_flow());
    return bpf_ringbuf_output(&raind_ev_deny, ev, sizeof(*ev), wake_deny());
}

RAIND_LEAF void event_blank(struct raind_event* ev, __u8 type, __u64 now) {
    __builtin_memset(ev, 0, sizeof(*ev));
    ev->version = RAIND_EVENT_VERSION;
    ev->type = type;
    ev->length = sizeof(*ev);
    ev->time = now;
}

/* Says how much this ring lost since the last time, at most once a second. */
RAIND_LEAF void say_ring_lost(struct raind_work* w, __u32 kind) {
    __u32 said_at = RAIND_LOST_SAID + kind;
    __u32 time_at = RAIND_LOST_TIME + kind;
    __u64* lost = bpf_map_lookup_elem(&raind_lost, &kind);
    __u64* said = bpf_map_lookup_elem(&raind_lost, &said_at);
    __u64* time = bpf_map_lookup_elem(&raind_lost, &time_at);
    struct raind_event ev;
    __u64 total;

    if (!lost || !said || !time || *lost == *said || w->now - *time < RAIND_NS_PER_SEC)
        return;
    total = *lost;
    event_blank(&ev, RAIND_EV_LOST, w->now);
    ev.count = total - *said;
    ev.lost_kind = kind;
    if (ring_put(kind, &ev))
        return;
    *said = total;
    *time = w->now;
}

/* Puts w->dval.event into a ring (RAIND_LOST_FLOW_RING or RAIND_LOST_DENY_RING). */
RAIND_STAGE int raind_send(__u32 level, __u32 kind) {
    struct raind_work* w = work_at(level);

    if (!w)
        return 0;
    say_ring_lost(w, kind);
    if (ring_put(kind, &w->dval.event)) {
        lost_add(kind);
        return 0;
    }
    return 1;
}

/* The endpoint's LOST record: as many of its records as its share did not cover. */
RAIND_LEAF void say_tokens_lost(struct raind_work* w, struct raind_quota* q) {
    __u32 second = (__u32)(w->now / RAIND_NS_PER_SEC);
    struct raind_event ev;
    __u32 lost = q->events_lost;

    if (!lost || q->lost_said == second)
        return;
    event_blank(&ev, RAIND_EV_LOST, w->now);
    ev.count = lost;
    ev.lost_kind = RAIND_LOST_TOKENS;
    ev.src_ep = w->ep.ep_id;
    ev.src_identity = w->ep.identity;
    ev.ifindex = w->ifindex;
    if (ring_put(RAIND_LOST_DENY_RING, &ev))
        return;
    q->lost_said = second;
    __sync_fetch_and_add(&q->events_lost, -lost);
}

RAIND_LEAF void count_lost(struct raind_quota* q, __u32 kind) {
    if (q)
        __sync_fetch_and_add(&q->events_lost, 1);
    lost_add(kind);
}

/* Takes a record from the endpoint's share; 0 when it is used up (then it is counted). */
RAIND_STAGE int raind_token(__u32 level) {
    struct raind_work* w = work_at(level);
    struct raind_quota* q;
    __u32 rate, burst;
    __u64 passed;

    if (!w)
        return 0;
    q = bpf_map_lookup_elem(&raind_quota, &w->ep.ep_id);
    if (!q)
        return 1; /* no endpoint: the aggregation alone limits it */
    rate = w->ep.event_rate ? w->ep.event_rate : RAIND_EVENT_RATE;
    burst = rate > 0x7fffffff ? rate : rate * 2;
    passed = w->now - q->refill_ns;
    if (!q->refill_ns || passed > 2 * RAIND_NS_PER_SEC) {
        q->tokens = burst;
        q->refill_ns = w->now;
    } else if (passed > RAIND_NS_PER_SEC / 1000) {
        __u64 more = q->tokens + passed * rate / RAIND_NS_PER_SEC;
        q->tokens = more > burst ? burst : more;
        q->refill_ns = w->now;
    }
    if (!q->tokens) {
        count_lost(q, RAIND_LOST_TOKENS);
        return 0;
    }
    q->tokens--;
    say_tokens_lost(w, q);
    return 1;
}

/* flags of a record about this packet. */
RAIND_LEAF __u8 packet_flags(const struct raind_work* w) {
    __u8 flags = 0;

    if (w->src_ep && w->dst_ep)
        flags |= RAIND_EVF_EAST_WEST;
    else
        flags |= w->inbound ? RAIND_EVF_IN : RAIND_EVF_OUT;
    if (w->src_id == RAIND_ID_HOST || w->src_id == RAIND_ID_GATEWAY || w->dst_id == RAIND_ID_HOST ||
        w->dst_id == RAIND_ID_GATEWAY)
        flags |= RAIND_EVF_HOST;
    if (w->verdict == RAIND_V_AUDIT)
        flags |= RAIND_EVF_AUDIT;
    if (w->publish || (w->ct_flags & RAIND_CTF_PUBLISHED))
        flags |= RAIND_EVF_PUBLISHED;
    return flags;
}

/* Describes the packet at hand in w->dval.event. */
RAIND_STAGE int raind_describe(__u32 level) {
    struct raind_work* w = work_at(level);
    struct raind_event* ev;

    if (!w)
        return 0;
    ev = &w->dval.event;
    event_blank(ev, 0, w->now);
    ev->verdict = w->verdict;
    ev->reason = w->reason;
    ev->family = w->family;
    ev->proto = w->proto;
    ip_copy(&ev->src, &w->src);
    ip_copy(&ev->dst, &w->dst);
    ev->sport = w->sport;
    ev->dport = w->icmp_kind ? 0 : w->dport;
    ev->icmp_type = w->icmp_type;
    ev->icmp_code = w->icmp_code;
    ev->tcp_flags = w->tcp_flags;
    ev->flags = packet_flags(w);
    ev->rule = w->rule;
    ev->gen = RAIND_ACTIVE_GEN(w->active);
    ev->src_identity = w->src_id;
    ev->dst_identity = w->dst_id;
    ev->match_class = w->match_class;
    ev->src_ep = w->src_ep;
    ev->dst_ep = w->dst_ep;
    ev->flow_id = w->flow_id;
    ev->ifindex = w->ifindex;
    return 1;
}

RAIND_LEAF __u64 revision_of(__u64 active) {
    __u32 slot = RAIND_ACTIVE_SLOT(active);
    struct raind_gen* gen = bpf_map_lookup_elem(&raind_gen, &slot);

    return gen ? gen->revision : 0;
}

/* NEW or AUDIT: first packet of a flow. */
RAIND_STAGE int raind_say_new(__u32 level) {
    struct raind_work* w = work_at(level);

    if (!w || !raind_token(level))
        return 0;
    raind_describe(level);
    w->dval.event.type = w->verdict == RAIND_V_AUDIT ? RAIND_EV_AUDIT : RAIND_EV_NEW;
    w->dval.event.revision = revision_of(w->active);
    w->dval.event.started = w->now;
    w->dval.event.packets_fwd = 1;
    w->dval.event.bytes_fwd = w->len;
    return raind_send(level, RAIND_LOST_FLOW_RING);
}

RAIND_LEAF int deny_first(struct raind_work* w, __u32 level) {
    struct raind_quota* q = bpf_map_lookup_elem(&raind_quota, &w->ep.ep_id);

    if (q && q->deny_open >= RAIND_DENY_SHARE) {
        count_lost(q, RAIND_LOST_DENY_SHARE);
        return 0;
    }
    w->dval.last_ns = w->now;
    w->dval.count = 0;
    w->dval.pad = 0;
    if (bpf_map_update_elem(&raind_denyagg, &w->dkey, &w->dval, BPF_NOEXIST)) {
        count_lost(q, RAIND_LOST_DENY_SHARE);
        return 0;
    }
    if (q)
        __sync_fetch_and_add(&q->deny_open, 1);
    return raind_token(level);
}

/* DENY: at once for the first of a key, then once a second with the number suppressed. */
RAIND_STAGE int raind_say_deny(__u32 level) {
    struct raind_work* w = work_at(level);
    struct raind_denyval* agg;
    __u64 interval = DENY_INTERVAL;

    if (!w)
        return 0;
    __builtin_memset(&w->dkey, 0, sizeof(w->dkey));
    w->dkey.ep_id = w->ep.ep_id;
    w->dkey.reason = w->reason;
    if (w->reason == RAIND_R_SPECIAL) {
        interval = SPECIAL_INTERVAL;
    } else if (w->reason == RAIND_R_NO_ENDPOINT) {
        w->dkey.port = w->ifindex;
    } else {
        ip_copy(&w->dkey.addr, w->inbound ? &w->src : &w->dst);
        w->dkey.port = w->icmp_kind ? w->pport : w->dport;
        w->dkey.proto = w->proto;
    }
    agg = bpf_map_lookup_elem(&raind_denyagg, &w->dkey);
    if (agg && w->now < agg->last_ns + interval) {
        __sync_fetch_and_add(&agg->count, 1);
        return 0;
    }
    raind_describe(level);
    w->dval.event.type = RAIND_EV_DENY;
    w->dval.event.revision = revision_of(w->active);
    if (!agg) {
        if (!deny_first(w, level))
            return 0;
        return raind_send(level, RAIND_LOST_DENY_RING);
    }
    w->dval.event.count = agg->count;
    agg->count = 0;
    agg->last_ns = w->now;
    if (!raind_token(level))
        return 0;
    return raind_send(level, RAIND_LOST_DENY_RING);
}

/* END or CUT of the flow in w->key and w->val, which has just been deleted. */
RAIND_STAGE int raind_say_end(__u32 level) {
    struct raind_work* w = work_at(level);
    struct raind_event* ev;
    struct raind_ctval* v;
    int b;

    if (!w)
        return 0;
    ev = &w->dval.event;
    v = &w->val;
    b = v->flags & RAIND_CTF_OPENER_IS_B;
    event_blank(ev, w->ended == RAIND_END_CUT ? RAIND_EV_CUT : RAIND_EV_END, w->now);
    ev->end = w->ended;
    ev->verdict = v->flags & RAIND_CTF_AUDIT ? RAIND_V_AUDIT : RAIND_V_ALLOW;
    ev->reason = v->rule < RAIND_RULE_USER ? RAIND_R_DEFAULT : RAIND_R_POLICY;
    ev->rule = v->rule;
    ev->gen = v->gen;
    ev->revision = v->revision;
    ev->match_class = v->match_class;
    if (w->ended == RAIND_END_CUT) {
        /* who took it away: the rule and revision that deny it now */
        ev->verdict = RAIND_V_DENY;
        ev->reason = RAIND_R_CUT;
        ev->rule = w->q.rule;
        ev->gen = RAIND_ACTIVE_GEN(w->active);
        ev->revision = revision_of(w->active);
        ev->match_class = w->q.match_class;
    }
    ip_copy(&ev->src, b ? &w->key.b : &w->key.a);
    ip_copy(&ev->dst, b ? &w->key.a : &w->key.b);
    ev->sport = b ? w->key.pb : w->key.pa;
    ev->dport = b ? w->key.pa : w->key.pb;
    ev->proto = w->key.proto;
    ev->family = ip_word(&w->key.a, 0) == 0 && ip_word(&w->key.a, 1) == 0 &&
                         ip_word(&w->key.a, 2) == bpf_htonl(0xffff)
                     ? 4
                     : 6;
    if (w->key.proto == 1 || w->key.proto == 58) {
        ev->icmp_type = v->dport >> 8;
        ev->icmp_code = v->dport & 0xff;
        ev->dport = 0;
    }
    if (v->src_ep && v->dst_ep)
        ev->flags = RAIND_EVF_EAST_WEST;
    else
        ev->flags = v->flags & RAIND_CTF_IN ? RAIND_EVF_IN : RAIND_EVF_OUT;
    if (v->flags & RAIND_CTF_HOST)
        ev->flags |= RAIND_EVF_HOST;
    if (v->flags & RAIND_CTF_AUDIT)
        ev->flags |= RAIND_EVF_AUDIT;
    if (v->flags & RAIND_CTF_PUBLISHED)
        ev->flags |= RAIND_EVF_PUBLISHED;
    ev->src_identity = v->src_id;
    ev->dst_identity = v->dst_id;
    ev->src_ep = v->src_ep;
    ev->dst_ep = v->dst_ep;
    ev->packets_fwd = v->packets[0];
    ev->bytes_fwd = v->bytes[0];
    ev->packets_rev = v->packets[1];
    ev->bytes_rev = v->bytes[1];
    ev->started = v->created;
    ev->flow_id = v->flow_id;
    ev->ifindex = v->ifindex;
    return raind_send(level, RAIND_LOST_FLOW_RING);
}

#define HIT_OPENED 0
#define HIT_DENIED 1
#define HIT_CUT 2

/* Use of a rule. */
RAIND_STAGE int raind_hit(__u32 rule, __u32 kind, __u64 now) {
    struct raind_rulehit* hit = bpf_map_lookup_elem(&raind_rulehit, &rule);

    if (!hit) {
        struct raind_rulehit zero = {};
        bpf_map_update_elem(&raind_rulehit, &rule, &zero, BPF_NOEXIST);
        hit = bpf_map_lookup_elem(&raind_rulehit, &rule);
    }
    if (!hit) {
        lost_add(RAIND_LOST_RULEHIT);
        return 0;
    }
    if (kind == HIT_OPENED)
        __sync_fetch_and_add(&hit->opened, 1);
    else if (kind == HIT_DENIED)
        __sync_fetch_and_add(&hit->denied, 1);
    else
        __sync_fetch_and_add(&hit->cut, 1);
    hit->last_ns = now;
    return 1;
}
