/* The verdict: chains of both sides, every mask, the highest precedence, else the predefined
 * verdicts. Input and answer are w->q; nothing here looks at the packet. */
#pragma once

#include "lib/util.h"

RAIND_LEAF __u8 kind_of(__u32 cls) {
    if (cls >= RAIND_ID_CIDR)
        return RAIND_KIND_PREFIX;
    if (cls >= RAIND_ID_SELECTOR)
        return RAIND_KIND_SELECTOR;
    if (cls >= RAIND_ID_WORKLOAD_FIRST)
        return RAIND_KIND_WORKLOAD;
    if (cls == RAIND_ID_CONTAINERS || cls == RAIND_ID_WORLD)
        return RAIND_KIND_GROUP;
    if (cls == RAIND_ID_ANY)
        return RAIND_KIND_ANY;
    if (cls == RAIND_ID_HOST || cls == RAIND_ID_GATEWAY || cls == RAIND_ID_DNS)
        return RAIND_KIND_HOST;
    return 0;
}

RAIND_LEAF int is_host(__u32 id) {
    return id == RAIND_ID_HOST || id == RAIND_ID_GATEWAY || id == RAIND_ID_DNS;
}

RAIND_LEAF int is_workload(__u32 id) {
    return id >= RAIND_ID_WORKLOAD_FIRST && id <= RAIND_ID_WORKLOAD_LAST;
}

/* Classes of an outside address: those of its longest prefix in the slot. */
RAIND_LEAF void chain_world(struct raind_work* w, struct raind_chain* out, int side, __u32 slot) {
    void* inner = bpf_map_lookup_elem(&raind_cidr, &slot);
    const struct raind_ip* ip = side ? &w->q.dst : &w->q.src;
    struct raind_chain* found;

    out->n = 2;
    out->cls[0] = RAIND_ID_WORLD;
    out->cls[1] = RAIND_ID_ANY;
    if (!inner) {
        out->n = 0;
        return;
    }
    __builtin_memset(&w->prefix, 0, sizeof(w->prefix));
    w->prefix.prefixlen = 8 + 128;
    w->prefix.family = w->q.family;
    for (int i = 0; i < 16; i++)
        w->prefix.addr[i] = ip->b[i];
    found = bpf_map_lookup_elem(inner, &w->prefix);
    if (found)
        *out = *found;
}

/* Fills w->chain[side]; an identity without a chain gets none, and so no permission. */
RAIND_STAGE int raind_chain_of(__u32 level, __u32 side) {
    struct raind_work* w = work_at(level);
    struct raind_chain* out;
    struct raind_identval* iv;
    __u32 id, slot;
    void* inner;

    if (!w)
        return 0;
    side &= 1;
    out = &w->chain[side];
    out->n = 0;
    id = side ? w->q.dst_id : w->q.src_id;
    slot = RAIND_ACTIVE_SLOT(w->active);
    if (is_host(id)) {
        out->n = 1;
        out->cls[0] = id;
    } else if (id == RAIND_ID_WORLD) {
        chain_world(w, out, side, slot);
    } else if (is_workload(id)) {
        inner = bpf_map_lookup_elem(&raind_ident, &slot);
        if (!inner)
            return 0;
        iv = bpf_map_lookup_elem(inner, &id);
        if (iv)
            *out = iv->chain;
    }
    if (out->n > RAIND_MAX_CHAIN)
        out->n = 0;
    return out->n;
}

struct probe_loop {
    __u32 level;
    __u32 nsrc;
    __u32 ndst;
    __u32 unused;
};

/* One key; what it finds replaces a match of lower precedence. Nonzero: no more. */
RAIND_LEAF long probe_key(struct raind_work* w, void* inner, struct raind_polkey* key) {
    struct raind_polval* val;

    if (++w->q.probes > w->q.max_probes) {
        w->q.over = 1;
        return 1;
    }
    val = bpf_map_lookup_elem(inner, key);
    if (!val || val->precedence < w->q.best)
        return 0;
    if ((val->flags & RAIND_POL_PUBLISHED) && w->q.src_id == RAIND_ID_WORLD && !w->q.published)
        return 0;
    w->q.best = val->precedence + 1;
    w->q.best_action = val->action;
    w->q.rule = val->rule;
    w->q.match_class = w->q.src_id == RAIND_ID_WORLD || is_host(w->q.src_id) ? key->src : key->dst;
    return 0;
}

/* One (mask, source class) with every destination class. Most masks have no rule for classes of
 * most kinds: a whole row is left with one look at the mask. */
static long probe_row(__u32 index, void* data) {
    struct probe_loop* loop = data;
    struct raind_work* w = work_at(loop->level);
    struct raind_polkey key = {};
    struct raind_gen* gen;
    void* inner;
    __u32 slot, m, s, kinds;

    if (!w || !loop->nsrc)
        return 1;
    slot = RAIND_ACTIVE_SLOT(w->active);
    gen = bpf_map_lookup_elem(&raind_gen, &slot);
    if (!gen) {
        w->q.over = 1;
        return 1;
    }
    m = (index / loop->nsrc) & (RAIND_MAX_MASKS - 1);
    s = (index % loop->nsrc) & (RAIND_MAX_CHAIN - 1);
    key.src = w->chain[0].cls[s];
    kinds = gen->masks[m].kinds;
    if (!(kinds & kind_of(key.src)))
        return 0;
    inner = bpf_map_lookup_elem(&raind_policy, &slot);
    if (!inner) {
        w->q.over = 1;
        return 1;
    }
    key.port = w->q.port & gen->masks[m].portmask;
    key.proto = gen->masks[m].proto_any ? 0 : w->q.proto;
    for (__u32 d = 0; d < RAIND_MAX_CHAIN; d++) {
        if (d >= loop->ndst)
            break;
        key.dst = w->chain[1].cls[d];
        if ((kinds & kind_of(key.dst)) && probe_key(w, inner, &key))
            return 1;
    }
    return 0;
}

RAIND_LEAF void answer(struct raind_question* q, __u8 verdict, __u32 rule) {
    q->verdict = verdict;
    q->rule = rule;
    q->reason = RAIND_R_DEFAULT;
}

/* Between a container and the outside; `rule` is the one that observe mode permits by. */
RAIND_LEAF void default_outside(struct raind_question* q, const struct raind_gen* gen, __u32 rule) {
    __u8 mode = gen->default_ns;

    if (q->ep_flags & RAIND_EP_NS_OBSERVE)
        mode = RAIND_MODE_OBSERVE;
    if (q->ep_flags & RAIND_EP_NS_ENFORCE)
        mode = RAIND_MODE_ENFORCE;
    if (mode == RAIND_MODE_OBSERVE)
        answer(q, RAIND_V_ALLOW, rule);
    else
        answer(q, mode == RAIND_MODE_AUDIT ? RAIND_V_AUDIT : RAIND_V_DENY, RAIND_RULE_NS_ENFORCE);
}

/* No rule matched. */
RAIND_LEAF void default_verdict(struct raind_question* q, const struct raind_gen* gen) {
    int echo = (q->proto == 1 && q->port == 0x0800) || (q->proto == 58 && q->port == 0x8000);

    if (is_workload(q->src_id) && is_workload(q->dst_id))
        answer(q, gen->default_ew == RAIND_MODE_AUDIT ? RAIND_V_AUDIT : RAIND_V_DENY,
               RAIND_RULE_EW_DEFAULT);
    else if (is_host(q->src_id) && is_workload(q->dst_id))
        answer(q, gen->host_to_container ? RAIND_V_ALLOW : RAIND_V_DENY, RAIND_RULE_HOST_TO_CTR);
    else if (q->dst_id == RAIND_ID_GATEWAY && echo)
        answer(q, RAIND_V_ALLOW, RAIND_RULE_GW_ECHO);
    else if (is_host(q->dst_id))
        answer(q, RAIND_V_DENY, RAIND_RULE_CTR_TO_HOST);
    else if (is_workload(q->src_id) && q->dst_id == RAIND_ID_WORLD)
        default_outside(q, gen, RAIND_RULE_NS_OBSERVE);
    else if (q->src_id == RAIND_ID_WORLD && is_workload(q->dst_id) && q->published)
        default_outside(q, gen, RAIND_RULE_PUBLISHED);
    else
        answer(q, RAIND_V_DENY, RAIND_RULE_NS_ENFORCE);
}

RAIND_LEAF void no_verdict(struct raind_question* q, __u8 reason) {
    q->verdict = RAIND_V_DENY;
    q->reason = reason;
    q->rule = 0;
}

/* Answers w->q against the slot of w->active. */
RAIND_STAGE int raind_judge(__u32 level) {
    struct raind_work* w = work_at(level);
    struct probe_loop loop = {.level = level};
    struct raind_question* q;
    struct raind_gen* gen;
    __u32 slot, masks;

    if (!w)
        return RAIND_V_DENY;
    q = &w->q;
    q->best = 0;
    q->best_action = 0;
    q->rule = 0;
    q->match_class = 0;
    q->probes = 0;
    q->over = 0;
    slot = RAIND_ACTIVE_SLOT(w->active);
    gen = bpf_map_lookup_elem(&raind_gen, &slot);
    if (!gen || !w->active || gen->gen != RAIND_ACTIVE_GEN(w->active)) {
        no_verdict(q, RAIND_R_NO_GENERATION);
        return q->verdict;
    }
    loop.nsrc = raind_chain_of(level, 0);
    loop.ndst = raind_chain_of(level, 1);
    if (!loop.nsrc || !loop.ndst) {
        no_verdict(q, RAIND_R_NO_IDENTITY);
        return q->verdict;
    }
    q->max_probes = gen->max_probes ? gen->max_probes : RAIND_MAX_PROBES;
    masks = gen->nmask > RAIND_MAX_MASKS ? RAIND_MAX_MASKS : gen->nmask;
    bpf_loop(masks * loop.nsrc, probe_row, &loop, 0);
    if (q->over) {
        no_verdict(q, RAIND_R_PROBES);
        return q->verdict;
    }
    if (q->best) {
        q->verdict = q->best_action == RAIND_ACT_ALLOW ? RAIND_V_ALLOW : RAIND_V_DENY;
        q->reason = RAIND_R_POLICY;
    } else {
        default_verdict(q, gen);
    }
    if (q->verdict == RAIND_V_DENY && (q->ep_flags & RAIND_EP_AUDIT))
        q->verdict = RAIND_V_AUDIT;
    return q->verdict;
}
