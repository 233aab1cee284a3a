/* Small leaves used by all stages: access to the work area, addresses, time, counters. */
#pragma once

#include "lib/bpf.h"
#include "maps.h"

typedef __u32 __attribute__((may_alias)) raind_word;

#define RAIND_NS_PER_SEC 1000000000ull
#define RAIND_STAGE __attribute__((noinline))
#define RAIND_LEAF static __attribute__((always_inline)) inline

RAIND_LEAF struct raind_work* work_at(__u32 level) {
    return bpf_map_lookup_elem(&raind_scratch, &level);
}

/* Takes the next work area of this CPU; RAIND_SCRATCH_LEVELS when there is none. */
RAIND_LEAF __u32 work_enter(void) {
    __u32 zero = 0;
    __u32* nest = bpf_map_lookup_elem(&raind_nest, &zero);

    if (!nest || *nest >= RAIND_SCRATCH_LEVELS)
        return RAIND_SCRATCH_LEVELS;
    return (*nest)++;
}

RAIND_LEAF void work_leave(void) {
    __u32 zero = 0;
    __u32* nest = bpf_map_lookup_elem(&raind_nest, &zero);

    if (nest && *nest)
        (*nest)--;
}

RAIND_LEAF __u64 read_active(void) {
    __u32 zero = 0;
    __u64* word = bpf_map_lookup_elem(&raind_active, &zero);

    return word ? *(volatile __u64*)word : 0;
}

RAIND_LEAF __u32 ip_word(const struct raind_ip* ip, int i) {
    return ((const raind_word*)ip->b)[i];
}

RAIND_LEAF void ip_copy(struct raind_ip* to, const struct raind_ip* from) {
    for (int i = 0; i < 4; i++)
        ((raind_word*)to->b)[i] = ip_word(from, i);
}

RAIND_LEAF int ip_equal(const struct raind_ip* a, const struct raind_ip* b) {
    return ip_word(a, 0) == ip_word(b, 0) && ip_word(a, 1) == ip_word(b, 1) &&
           ip_word(a, 2) == ip_word(b, 2) && ip_word(a, 3) == ip_word(b, 3);
}

RAIND_LEAF int ip_zero(const struct raind_ip* a) {
    return !(ip_word(a, 0) | ip_word(a, 1) | ip_word(a, 2) | ip_word(a, 3));
}

RAIND_LEAF void ip_from4(struct raind_ip* to, __u32 be) {
    raind_word* w = (raind_word*)to->b;

    w[0] = 0;
    w[1] = 0;
    w[2] = bpf_htonl(0xffff);
    w[3] = be;
}

RAIND_LEAF void ip_clear(struct raind_ip* to) {
    for (int i = 0; i < 4; i++)
        ((raind_word*)to->b)[i] = 0;
}

/* Order of addresses in the flow key: by bytes, as user space sees it. */
RAIND_LEAF int ip_compare(const struct raind_ip* a, const struct raind_ip* b) {
    for (int i = 0; i < 4; i++) {
        __u32 x = bpf_ntohl(ip_word(a, i));
        __u32 y = bpf_ntohl(ip_word(b, i));
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

RAIND_LEAF int mac_equal(const __u8* a, const __u8* b) {
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] &&
           a[5] == b[5];
}

RAIND_LEAF void mac_copy(__u8* to, const __u8* from) {
    for (int i = 0; i < 6; i++)
        to[i] = from[i];
}

RAIND_LEAF void lost_add(__u32 kind) {
    __u64* n = bpf_map_lookup_elem(&raind_lost, &kind);

    if (n)
        __sync_fetch_and_add(n, 1);
}

RAIND_LEAF void put16(__u8* to, __u16 v) {
    to[0] = v >> 8;
    to[1] = v & 0xff;
}

RAIND_LEAF void put32(__u8* to, __u32 v) {
    put16(to, v >> 16);
    put16(to + 2, v & 0xffff);
}

RAIND_LEAF __u16 csum_fold(__u64 sum) {
    __u32 s = (__u32)sum + (__u32)(sum >> 32);

    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return ~s & 0xffff;
}
