/* Flows: look-up with every condition of validity, states, insertion, end. One entry answers for
 * both directions; replies need no rule. */
#pragma once

#include "lib/event.h"
#include "lib/parse.h"
#include "lib/policy.h"

#define SEC_NS(s) ((s) * RAIND_NS_PER_SEC)
#define LAST_INTERVAL (100 * 1000 * 1000ull)

/* Idle lives; set by the loader. */
const volatile __u64 raind_life_tcp[6] = {0,           SEC_NS(20), SEC_NS(60), SEC_NS(43200),
                                          SEC_NS(120), SEC_NS(5)};
const volatile __u64 raind_life_udp[3] = {0, SEC_NS(30), SEC_NS(180)};
const volatile __u64 raind_life_icmp[3] = {0, SEC_NS(15), SEC_NS(30)};
const volatile __u64 raind_life_other[3] = {0, SEC_NS(60), SEC_NS(600)};

enum flow_result {
    FLOW_MISS = 0,
    FLOW_HIT = 1,
    FLOW_CUT = 2,
};

RAIND_LEAF __u64 life_of(__u8 proto, __u8 state) {
    __u32 two = state >= RAIND_CT_REPLIED ? 2 : 1;

    if (proto == PROTO_TCP) {
        if (state < 1 || state > 5)
            return 0;
        return raind_life_tcp[state];
    }
    if (proto == PROTO_UDP)
        return raind_life_udp[two];
    if (proto == PROTO_ICMP || proto == PROTO_ICMP6)
        return raind_life_icmp[two];
    return raind_life_other[two];
}

RAIND_LEAF int expired(const struct raind_ctval* v, __u8 proto, __u64 now) {
    /* signed: another CPU may have written a later time than this packet's */
    return (__s64)(now - v->last) > (__s64)life_of(proto, v->state);
}

RAIND_LEAF __u8 end_of(const struct raind_ctval* v) {
    if (v->state != RAIND_CT_CLOSED)
        return RAIND_END_EXPIRED;
    return (v->tcp_seen[0] | v->tcp_seen[1]) & RAIND_SEEN_RST ? RAIND_END_RST : RAIND_END_FIN;
}

/* The entry's key from the packet's tuple. */
RAIND_LEAF void make_key(struct raind_work* w) {
    int order = ip_compare(&w->src, &w->dst);
    int flip = order > 0 || (order == 0 && w->sport > w->dport);

    w->flip = flip;
    ip_copy(&w->key.a, flip ? &w->dst : &w->src);
    ip_copy(&w->key.b, flip ? &w->src : &w->dst);
    w->key.pa = flip ? w->dport : w->sport;
    w->key.pb = flip ? w->sport : w->dport;
    w->key.proto = w->proto;
    w->key.icmp_type = 0;
    w->key.icmp_code = 0;
    w->key.icmp_from_b = 0;
    if (!w->icmp_kind)
        return;
    w->key.icmp_type = w->icmp_kind == ICMP_REPLY ? icmp_request_of(w->icmp_type) : w->icmp_type;
    w->key.icmp_code = w->icmp_code;
    w->key.icmp_from_b = w->icmp_kind == ICMP_REPLY ? !flip : flip;
}

RAIND_LEAF void total_add(__u32 n) {
    __u32 zero = 0;
    struct raind_total* t = bpf_map_lookup_elem(&raind_total, &zero);

    if (t)
        __sync_fetch_and_add(&t->flows, n);
}

/* Gives the entry's place back to the endpoint that had it. */
RAIND_LEAF void quota_release(const struct raind_ctval* v) {
    __u32 in = v->flags & RAIND_CTF_IN;
    __u32 ep = in ? v->dst_ep : v->src_ep;
    struct raind_quota* q = bpf_map_lookup_elem(&raind_quota, &ep);

    total_add(-1);
    if (!q)
        return;
    if (in && q->open_in)
        __sync_fetch_and_add(&q->open_in, -1);
    if (!in && q->open_out)
        __sync_fetch_and_add(&q->open_out, -1);
}

/* A flow through a published port has two entries, before and after the translation. The second
 * is made at the receiver's port, and the first one speaks for both. */
RAIND_LEAF int is_second(const struct raind_ctval* v) {
    return (v->flags & RAIND_CTF_IN) && v->src_ep && v->dst_ep;
}

/* Deletes w->key with end reason w->ended. Whoever's delete succeeded records the end. */
RAIND_STAGE int raind_flow_end(__u32 level) {
    struct raind_work* w = work_at(level);
    struct raind_ctval* v;

    if (!w)
        return 0;
    v = bpf_map_lookup_elem(&raind_ct, &w->key);
    if (!v)
        return 0;
    w->val = *v;
    if (bpf_map_delete_elem(&raind_ct, &w->key))
        return 0;
    quota_release(&w->val);
    if (is_second(&w->val))
        return 1;
    if (w->ended == RAIND_END_CUT)
        raind_hit(w->q.rule, HIT_CUT, w->now);
    raind_say_end(level);
    return 1;
}

/* Judges w->key again in its opener's direction, with today's chains. */
RAIND_STAGE int raind_rejudge(__u32 level) {
    struct raind_work* w = work_at(level);
    struct raind_endpoint* ep;
    struct raind_ctval* v;
    int b;

    if (!w)
        return RAIND_V_DENY;
    v = bpf_map_lookup_elem(&raind_ct, &w->key);
    if (!v)
        return RAIND_V_DENY;
    b = v->flags & RAIND_CTF_OPENER_IS_B;
    ip_copy(&w->q.src, b ? &w->key.b : &w->key.a);
    ip_copy(&w->q.dst, b ? &w->key.a : &w->key.b);
    w->q.src_id = v->src_id;
    w->q.dst_id = v->dst_id;
    w->q.port = v->dport;
    w->q.proto = w->key.proto;
    w->q.family = ip_word(&w->key.a, 0) == 0 && ip_word(&w->key.a, 1) == 0 &&
                          ip_word(&w->key.a, 2) == bpf_htonl(0xffff)
                      ? 4
                      : 6;
    w->q.published = !!(v->flags & RAIND_CTF_PUBLISHED);
    ep = bpf_map_lookup_elem(&raind_ep, &v->ifindex);
    w->q.ep_flags = ep && (ep->ep_id == v->src_ep || ep->ep_id == v->dst_ep) ? ep->flags : 0;
    return raind_judge(level);
}

/* The verdict of raind_rejudge was to keep the flow. */
RAIND_LEAF void flow_renew(struct raind_ctval* v, const struct raind_work* w) {
    v->rule = w->q.rule;
    v->match_class = w->q.match_class;
    if (w->q.verdict == RAIND_V_AUDIT)
        v->flags |= RAIND_CTF_AUDIT;
    else
        v->flags &= ~RAIND_CTF_AUDIT;
    v->revision = revision_of(w->active);
    v->gen = RAIND_ACTIVE_GEN(w->active);
}

RAIND_LEAF __u8 tcp_next(struct raind_ctval* v, __u8 flags, int reply) {
    __u8* mine = &v->tcp_seen[reply & 1];
    __u8 both = v->tcp_seen[0] & v->tcp_seen[1] & RAIND_SEEN_FIN;

    if (flags & TCP_RST) {
        *mine |= RAIND_SEEN_RST;
        return RAIND_CT_CLOSED;
    }
    if (flags & TCP_FIN) {
        *mine |= RAIND_SEEN_FIN;
        both = v->tcp_seen[0] & v->tcp_seen[1] & RAIND_SEEN_FIN;
        return both ? RAIND_CT_CLOSED : RAIND_CT_FIN1;
    }
    if (v->state == RAIND_CT_CLOSED && !both) {
        /* a lone reset that the receiver did not believe */
        v->tcp_seen[0] &= ~RAIND_SEEN_RST;
        v->tcp_seen[1] &= ~RAIND_SEEN_RST;
        if (v->tcp_seen[0] | v->tcp_seen[1])
            return RAIND_CT_FIN1;
        return v->packets[1] ? RAIND_CT_EST : RAIND_CT_NEW;
    }
    if (v->state == RAIND_CT_NEW && reply)
        return RAIND_CT_REPLIED;
    if (v->state == RAIND_CT_REPLIED && !reply && (flags & TCP_ACK))
        return RAIND_CT_EST;
    return v->state;
}

RAIND_LEAF void flow_touch(struct raind_work* w, struct raind_ctval* v, int reply) {
    __u8 state = v->state;

    if (w->proto == PROTO_TCP)
        state = tcp_next(v, w->tcp_flags, reply);
    else if (state == RAIND_CT_NEW && reply)
        state = RAIND_CT_REPLIED;
    if (state != v->state) {
        v->state = state;
        v->last = w->now;
    } else if (w->now > v->last + LAST_INTERVAL) {
        v->last = w->now;
    }
    /* the sender's port has counted it already, if it saw the same entry */
    if (w->inbound && w->src_ep && !w->hairpin)
        return;
    __sync_fetch_and_add(&v->packets[reply & 1], 1);
    __sync_fetch_and_add(&v->bytes[reply & 1], w->len);
}

/* Are both parties who they were when the flow was opened? */
RAIND_LEAF int same_parties(const struct raind_work* w, const struct raind_ctval* v, int reply) {
    if (reply)
        return v->src_ep == w->dst_ep && v->dst_ep == w->src_ep && v->src_id == w->dst_id &&
               v->dst_id == w->src_id;
    return v->src_ep == w->src_ep && v->dst_ep == w->dst_ep && v->src_id == w->src_id &&
           v->dst_id == w->dst_id;
}

RAIND_LEAF int tuple_reused(const struct raind_work* w, const struct raind_ctval* v, int reply) {
    if (w->proto != PROTO_TCP || (w->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
        return 0;
    return reply || v->state == RAIND_CT_CLOSED;
}

/* Entry of w->key for the packet at hand: hit, miss (and deleted, if it was not valid) or cut. */
RAIND_STAGE int raind_flow_find(__u32 level) {
    struct raind_work* w = work_at(level);
    struct raind_ctval* v;
    int reply;

    if (!w)
        return FLOW_MISS;
    v = bpf_map_lookup_elem(&raind_ct, &w->key);
    if (!v)
        return FLOW_MISS;
    reply = !!w->flip != !!(v->flags & RAIND_CTF_OPENER_IS_B);
    w->ended = RAIND_END_NONE;
    if (expired(v, w->proto, w->now))
        w->ended = end_of(v);
    else if (!same_parties(w, v, reply))
        w->ended = RAIND_END_ENDPOINT_GONE;
    else if (tuple_reused(w, v, reply))
        w->ended = RAIND_END_REUSED;
    if (w->ended) {
        raind_flow_end(level);
        return FLOW_MISS;
    }
    if ((__s32)(RAIND_ACTIVE_GEN(w->active) - v->gen) > 0 || !w->active) {
        if (raind_rejudge(level) == RAIND_V_DENY) {
            w->ended = RAIND_END_CUT;
            w->rule = w->q.rule;
            raind_flow_end(level);
            return FLOW_CUT;
        }
        flow_renew(v, w);
    }
    flow_touch(w, v, reply);
    w->ct_flags = v->flags;
    w->rule = v->rule;
    w->flow_id = v->flow_id;
    w->match_class = v->match_class;
    return FLOW_HIT;
}

/* May the port's endpoint have one more flow? Missing quota: no. */
RAIND_STAGE int raind_quota_free(__u32 level) {
    struct raind_work* w = work_at(level);
    struct raind_total* total;
    struct raind_quota* q;
    __u32 zero = 0, open, limit, own, free;

    if (!w)
        return 0;
    q = bpf_map_lookup_elem(&raind_quota, &w->ep.ep_id);
    total = bpf_map_lookup_elem(&raind_total, &zero);
    if (!q || !total)
        return 0;
    open = w->inbound ? q->open_in : q->open_out;
    limit = w->inbound ? q->limit_in : q->limit_out;
    own = q->open_in + q->open_out;
    free = total->flows < total->max ? total->max - total->flows : 0;
    if (open < limit && (own < RAIND_CT_RESERVED || own - RAIND_CT_RESERVED <= free / 2))
        return 1;
    __sync_fetch_and_add(w->inbound ? &q->over_in : &q->over_out, 1);
    return 0;
}

RAIND_LEAF void quota_add(struct raind_work* w, __u32 n) {
    struct raind_quota* q = bpf_map_lookup_elem(&raind_quota, &w->ep.ep_id);

    total_add(n);
    if (q)
        __sync_fetch_and_add(w->inbound ? &q->open_in : &q->open_out, n);
}

/* The permitted flow of this packet. 0, RAIND_R_CT_FULL, or -1 when another CPU was first. */
RAIND_STAGE int raind_flow_new(__u32 level) {
    struct raind_work* w = work_at(level);
    struct raind_ctval* v;
    long err;

    if (!w)
        return RAIND_R_MEMORY;
    v = &w->val;
    __builtin_memset(v, 0, sizeof(*v));
    w->flow_id = w->now << 8 | (bpf_get_smp_processor_id() & 0xff);
    v->gen = RAIND_ACTIVE_GEN(w->active);
    v->rule = w->rule;
    v->src_id = w->src_id;
    v->dst_id = w->dst_id;
    v->src_ep = w->src_ep;
    v->dst_ep = w->dst_ep;
    v->flow_id = w->flow_id;
    v->created = w->now;
    v->last = w->now;
    v->packets[0] = 1;
    v->bytes[0] = w->len;
    v->state = RAIND_CT_NEW;
    v->flags = w->ct_flags | (w->flip ? RAIND_CTF_OPENER_IS_B : 0);
    v->dport = w->pport;
    v->match_class = w->match_class;
    v->ifindex = w->ifindex;
    v->revision = revision_of(w->active);
    quota_add(w, 1);
    err = bpf_map_update_elem(&raind_ct, &w->key, v, BPF_NOEXIST);
    if (!err)
        return 0;
    quota_add(w, -1);
    return err == -17 ? -1 : RAIND_R_CT_FULL;
}
