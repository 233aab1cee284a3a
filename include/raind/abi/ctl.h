/* Arguments of the syscall programs (raind_ctl.bpf.c), passed in ctx_in; results come back in the
 * same buffer. */
#ifndef RAIND_ABI_CTL_H
#define RAIND_ABI_CTL_H

#include "raind/abi/base.h"

/* raind_sweep_args.flags. */
#define RAIND_SWEEP_EXPIRE (1u << 0)   /* delete idle flows */
#define RAIND_SWEEP_REJUDGE (1u << 1)  /* judge flows of older generations; cut what is denied */
#define RAIND_SWEEP_ENDPOINT (1u << 2) /* delete all flows of ep_id */
#define RAIND_SWEEP_RECOUNT (1u << 3)  /* set quotas to the real number of entries */
#define RAIND_SWEEP_DENYAGG (1u << 4)  /* send suppressed denials whose key went quiet */
#define RAIND_SWEEP_DRY_RUN (1u << 5)  /* with REJUDGE: count only, against slot */
#define RAIND_SWEEP_PERIODIC (RAIND_SWEEP_EXPIRE | RAIND_SWEEP_RECOUNT | RAIND_SWEEP_DENYAGG)

struct raind_sweep_args {
    /* in */
    __u32 flags;
    __u32 ep_id; /* ENDPOINT */
    __u32 slot;  /* DRY_RUN */
    __u32 pad;
    /* out */
    __u32 visited;
    __u32 expired;
    __u32 kept;      /* REJUDGE: permitted again or still current */
    __u32 cut;       /* REJUDGE: deleted, or would be */
    __u32 ended;     /* ENDPOINT: deleted */
    __u32 denials;   /* DENYAGG: records sent */
    __u32 recounted; /* RECOUNT: quotas corrected */
    __u32 failed;    /* entries that could not be judged or deleted */
};
RAIND_ABI_SIZE(raind_sweep_args, 48);
RAIND_ABI_OFFSET(raind_sweep_args, visited, 16);

#endif
