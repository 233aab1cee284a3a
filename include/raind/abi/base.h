/* Ground of the kernel ABI: C for the BPF programs and C++23 for user space. Fixed-width types
 * only, padding explicit and zero, ports in host byte order, addresses 16 bytes in network order
 * with IPv4 as ::ffff:a.b.c.d. A change of any size or offset in this folder raises RAIND_LAYOUT.
 */
#ifndef RAIND_ABI_BASE_H
#define RAIND_ABI_BASE_H

#include <linux/types.h>

/* Version of all map layouts; part of the pin path (raind/v<layout>). */
#define RAIND_LAYOUT 1
#define RAIND_EVENT_VERSION 1

#ifdef __cplusplus
#define RAIND_ABI_ASSERT(cond) static_assert(cond, #cond)
#define RAIND_ABI_CAST(type, value) static_cast<type>(value)
#else
#define RAIND_ABI_ASSERT(cond) _Static_assert(cond, #cond)
#define RAIND_ABI_CAST(type, value) ((type)(value))
#endif
#define RAIND_ABI_SIZE(type, size) RAIND_ABI_ASSERT(sizeof(struct type) == (size))
#define RAIND_ABI_OFFSET(type, field, offset) \
    RAIND_ABI_ASSERT(__builtin_offsetof(struct type, field) == (offset))

/* IPv6, or IPv4 as ::ffff:a.b.c.d; network order. */
struct raind_ip {
    __u8 b[16];
} __attribute__((aligned(4)));
RAIND_ABI_SIZE(raind_ip, 16);

/* Key of the prefix tries. The first byte of the data is the family (4 or 6), so that ::/0 does not
 * cover IPv4. prefixlen counts the family's 8 bits and the prefix inside the 16-byte address: an
 * IPv4 /24 has 8 + 96 + 24, an IPv6 /64 has 8 + 64. */
struct raind_prefix {
    __u32 prefixlen;
    __u8 family;
    __u8 addr[16];
    __u8 pad[3];
};
RAIND_ABI_SIZE(raind_prefix, 24);
RAIND_ABI_OFFSET(raind_prefix, family, 4);
RAIND_ABI_OFFSET(raind_prefix, addr, 5);

/* Limits of the maps (max_entries); the flow table is sized at load. */
#define RAIND_MAX_EP 4096
#define RAIND_MAX_ADDR 16384
#define RAIND_MAX_POOL 1024
#define RAIND_MAX_PUBLISH 4096
#define RAIND_SLOTS 2
#define RAIND_MAX_POLICY 262144
#define RAIND_MAX_CIDR 65536
#define RAIND_MAX_IDENT 16384
#define RAIND_MAX_CT 65536
#define RAIND_MAX_RULEHIT 131072
#define RAIND_MAX_DENYAGG 16384
#define RAIND_MAX_RULENAME 131072
#define RAIND_MAX_STAT 128
#define RAIND_MAX_LOST 16
#define RAIND_RING_FLOW (16 * 1024 * 1024)
#define RAIND_RING_DENY (4 * 1024 * 1024)
#define RAIND_SCRATCH_LEVELS 8

#define RAIND_MAX_MASKS 16    /* port masks of one generation */
#define RAIND_MAX_CHAIN 8     /* classes in a chain */
#define RAIND_MAX_PROBES 64   /* default bound of look-ups of one verdict */
#define RAIND_MAX_SELECTORS 5 /* selector classes of one container */
#define RAIND_CT_RESERVED 256 /* flow entries that no other endpoint can take */
#define RAIND_DENY_SHARE 512  /* aggregation entries of one endpoint */

/* Defaults of an endpoint. */
#define RAIND_CT_OUT_LIMIT 16384
#define RAIND_CT_IN_LIMIT 8192
#define RAIND_EVENT_RATE 20000 /* records a second; burst is twice that */

/* Bits of the packet mark (default position). */
#define RAIND_STAMP_FROM_PORT 0x100u /* passed by raind_from to the host */
#define RAIND_STAMP_PUBLISHED 0x200u /* came through a published port */
#define RAIND_STAMP_DNS 0x400u       /* DNS question on its way to the proxy */
#define RAIND_STAMP_TO_HOST 0x800u   /* permitted to the host itself */
#define RAIND_STAMP_MASK 0xf00u

/* raind_active holds gen << 8 | slot; 0 = nothing was ever committed. */
#define RAIND_ACTIVE(gen, slot) ((RAIND_ABI_CAST(__u64, gen) << 8) | (slot))
#define RAIND_ACTIVE_GEN(word) RAIND_ABI_CAST(__u32, (word) >> 8)
#define RAIND_ACTIVE_SLOT(word) RAIND_ABI_CAST(__u32, (word) & 0xff)

#endif
