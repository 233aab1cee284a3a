/* raind_sweep: the walk over all flows that the daemon asks for, after a commit, when an endpoint
 * goes and every two seconds. One walk at a time; packets go on meanwhile. */

#include "lib/bpf.h"
#include "lib/flow.h"
#include "maps.h"

char LICENSE[] SEC("license") = "GPL";

struct bpf_map;

#define DENY_KEEP (10 * RAIND_NS_PER_SEC)

struct walk {
    __u32 level;
    __u32 flags;
};

static void sweep_end(struct raind_work* w, __u32 level, __u8 end, __u32* count) {
    w->ended = end;
    if (raind_flow_end(level))
        (*count)++;
    else
        w->sweep.failed++;
}

/* Judges one flow; 1 when it is gone. */
static int sweep_judge(struct raind_work* w, __u32 level, struct raind_ctval* v) {
    int dry = w->sweep.flags & RAIND_SWEEP_DRY_RUN;

    if (!dry && v->gen == RAIND_ACTIVE_GEN(w->active)) {
        w->sweep.kept++;
        return 0;
    }
    if (raind_rejudge(level) != RAIND_V_DENY) {
        w->sweep.kept++;
        if (!dry)
            flow_renew(v, w);
        return 0;
    }
    if (dry) {
        w->sweep.cut++;
        return 0;
    }
    sweep_end(w, level, RAIND_END_CUT, &w->sweep.cut);
    return 1;
}

static void sweep_count(struct raind_ctval* v) {
    __u32 in = v->flags & RAIND_CTF_IN;
    __u32 ep = in ? v->dst_ep : v->src_ep;
    struct raind_quota* q = bpf_map_lookup_elem(&raind_quota, &ep);
    __u32 zero = 0;
    struct raind_total* total = bpf_map_lookup_elem(&raind_total, &zero);

    if (total)
        total->count++;
    if (q && in)
        q->count_in++;
    else if (q)
        q->count_out++;
}

static long sweep_flow(struct bpf_map* map, struct raind_ctkey* key, struct raind_ctval* v,
                       struct walk* walk) {
    struct raind_work* w = work_at(walk->level);
    __u32 flags;

    (void)map;
    if (!w)
        return 1;
    flags = w->sweep.flags;
    w->key = *key;
    w->sweep.visited++;
    if ((flags & RAIND_SWEEP_ENDPOINT) &&
        (v->src_ep == w->sweep.ep_id || v->dst_ep == w->sweep.ep_id)) {
        sweep_end(w, walk->level, RAIND_END_ENDPOINT_GONE, &w->sweep.ended);
        return 0;
    }
    if ((flags & RAIND_SWEEP_EXPIRE) && expired(v, key->proto, w->now)) {
        sweep_end(w, walk->level, end_of(v), &w->sweep.expired);
        return 0;
    }
    if ((flags & RAIND_SWEEP_REJUDGE) && sweep_judge(w, walk->level, v))
        return 0;
    if (flags & RAIND_SWEEP_RECOUNT)
        sweep_count(v);
    return 0;
}

static long quota_begin(struct bpf_map* map, __u32* key, struct raind_quota* q, void* unused) {
    (void)map;
    (void)key;
    (void)unused;
    q->count_out = 0;
    q->count_in = 0;
    return 0;
}

static long quota_settle(struct bpf_map* map, __u32* key, struct raind_quota* q,
                         struct walk* walk) {
    struct raind_work* w = work_at(walk->level);
    __u32 out = q->count_out - q->open_out, in = q->count_in - q->open_in;

    (void)map;
    (void)key;
    if (!w)
        return 1;
    if (!out && !in)
        return 0;
    __sync_fetch_and_add(&q->open_out, out);
    __sync_fetch_and_add(&q->open_in, in);
    w->sweep.recounted++;
    return 0;
}

/* Sends what was suppressed since the last record of a key; forgets keys that stay quiet. */
static long sweep_deny(struct bpf_map* map, struct raind_denykey* key, struct raind_denyval* v,
                       struct walk* walk) {
    struct raind_work* w = work_at(walk->level);
    struct raind_quota* q;
    __u64 interval, quiet;

    (void)map;
    if (!w)
        return 1;
    interval = key->reason == RAIND_R_SPECIAL ? SPECIAL_INTERVAL : DENY_INTERVAL;
    quiet = w->now > v->last_ns ? w->now - v->last_ns : 0;
    if (quiet < interval)
        return 0;
    if (v->count) {
        w->dval.event = v->event;
        w->dval.event.time = w->now;
        w->dval.event.count = v->count;
        v->count = 0;
        v->last_ns = w->now;
        w->sweep.denials += raind_send(walk->level, RAIND_LOST_DENY_RING);
        return 0;
    }
    if (quiet < interval + DENY_KEEP)
        return 0;
    w->dkey = *key;
    if (bpf_map_delete_elem(&raind_denyagg, &w->dkey))
        return 0;
    q = bpf_map_lookup_elem(&raind_quota, &w->dkey.ep_id);
    if (q && q->deny_open)
        __sync_fetch_and_add(&q->deny_open, -1);
    return 0;
}

static void recount_total(int begin) {
    __u32 zero = 0;
    struct raind_total* total = bpf_map_lookup_elem(&raind_total, &zero);

    if (!total)
        return;
    if (begin)
        total->count = 0;
    else
        __sync_fetch_and_add(&total->flows, total->count - total->flows);
}

SEC("syscall")
int raind_sweep(struct raind_sweep_args* args) {
    struct walk walk = {};
    struct raind_work* w;

    walk.level = work_enter();
    if (walk.level >= RAIND_SCRATCH_LEVELS)
        return 1;
    w = work_at(walk.level);
    if (!w)
        goto out;
    w->now = bpf_ktime_get_boot_ns();
    w->active = read_active();
    __builtin_memset(&w->sweep, 0, sizeof(w->sweep));
    w->sweep.flags = args->flags;
    w->sweep.ep_id = args->ep_id;
    w->ep.ep_id = 0;
    if (args->flags & RAIND_SWEEP_DRY_RUN) {
        __u32 slot = args->slot & 1;
        struct raind_gen* gen = bpf_map_lookup_elem(&raind_gen, &slot);
        w->active = gen ? RAIND_ACTIVE(gen->gen, slot) : 0;
    }
    if (args->flags & RAIND_SWEEP_RECOUNT) {
        bpf_for_each_map_elem(&raind_quota, quota_begin, &walk, 0);
        recount_total(1);
    }
    bpf_for_each_map_elem(&raind_ct, sweep_flow, &walk, 0);
    if (args->flags & RAIND_SWEEP_RECOUNT) {
        bpf_for_each_map_elem(&raind_quota, quota_settle, &walk, 0);
        recount_total(0);
    }
    if (args->flags & RAIND_SWEEP_DENYAGG)
        bpf_for_each_map_elem(&raind_denyagg, sweep_deny, &walk, 0);
    args->visited = w->sweep.visited;
    args->expired = w->sweep.expired;
    args->kept = w->sweep.kept;
    args->cut = w->sweep.cut;
    args->ended = w->sweep.ended;
    args->denials = w->sweep.denials;
    args->recounted = w->sweep.recounted;
    args->failed = w->sweep.failed;
out:
    work_leave();
    return 0;
}
