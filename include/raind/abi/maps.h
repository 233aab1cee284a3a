/* Keys and values of every map. One struct per map side; names of the maps below. */
#ifndef RAIND_ABI_MAPS_H
#define RAIND_ABI_MAPS_H

#include "raind/abi/base.h"
#include "raind/abi/enums.h"
#include "raind/abi/event.h"

/* Map names (at most 15 characters): X(NAME, "name"). */
#define RAIND_MAPS(X)             \
    X(EP, "raind_ep")             \
    X(ADDR, "raind_addr")         \
    X(POOL, "raind_pool")         \
    X(PUBLISH, "raind_publish")   \
    X(ACTIVE, "raind_active")     \
    X(GEN, "raind_gen")           \
    X(POLICY, "raind_policy")     \
    X(CIDR, "raind_cidr")         \
    X(IDENT, "raind_ident")       \
    X(CT, "raind_ct")             \
    X(QUOTA, "raind_quota")       \
    X(EPSTAT, "raind_epstat")     \
    X(RULEHIT, "raind_rulehit")   \
    X(DENYAGG, "raind_denyagg")   \
    X(EV_FLOW, "raind_ev_flow")   \
    X(EV_DENY, "raind_ev_deny")   \
    X(LOST, "raind_lost")         \
    X(BEAT, "raind_beat")         \
    X(TOTAL, "raind_total")       \
    X(STAT, "raind_stat")         \
    X(SCRATCH, "raind_scratch")   \
    X(NEST, "raind_nest")         \
    X(RULENAME, "raind_rulename") \
    X(IDNAME, "raind_idname")

/* raind_ep: key u32 ifindex of the host side. */
struct raind_endpoint {
    __u32 ep_id;    /* one start of one container; never repeated */
    __u32 identity; /* workload */
    __u32 flags;    /* RAIND_EP_* */
    __u32 net_id;
    struct raind_ip ip4; /* zero: none */
    struct raind_ip ip6; /* zero: none */
    __u8 mac[6];
    __u8 gw_mac[6]; /* the bridge's MAC: answer to every ARP and NDP question */
    __u16 mtu;
    __u16 pad;
    __u32 bridge_ifindex; /* where slow-path packets enter IP */
    __u32 ct_out_limit;
    __u32 ct_in_limit;
    __u32 event_rate; /* records a second; 0 = default */
    char name[16];    /* container id, zero-terminated */
    __u8 reserved[32];
};
RAIND_ABI_SIZE(raind_endpoint, 128);
RAIND_ABI_OFFSET(raind_endpoint, ip4, 16);
RAIND_ABI_OFFSET(raind_endpoint, mac, 48);
RAIND_ABI_OFFSET(raind_endpoint, bridge_ifindex, 64);
RAIND_ABI_OFFSET(raind_endpoint, name, 80);

/* raind_addr: key struct raind_ip. Endpoints, host and gateway addresses. */
struct raind_addrval {
    __u32 ep_id; /* LOCAL only */
    __u32 identity;
    __u32 ifindex; /* LOCAL: host side of the veth */
    __u32 flags;   /* RAIND_ADDR_* */
    __u8 mac[6];   /* LOCAL: the container's MAC */
    __u16 mtu;
    __u32 net_id;
    __u32 pad;
};
RAIND_ABI_SIZE(raind_addrval, 32);

/* raind_pool: key struct raind_prefix, value u32 class (RAIND_ID_SPECIAL or RAIND_ID_POOL). */

/* raind_publish: a port of the host that stands for one of a container. */
struct raind_pubkey {
    struct raind_ip addr; /* 0.0.0.0 (as ::ffff:0.0.0.0) or ::, any address of that family */
    __u16 port;
    __u8 proto;
    __u8 pad;
};
RAIND_ABI_SIZE(raind_pubkey, 20);

struct raind_pubval {
    __u32 identity;
    __u32 ep_id;
    __u16 port; /* of the container */
    __u16 pad;
};
RAIND_ABI_SIZE(raind_pubval, 12);

struct raind_mask {
    __u16 portmask; /* 0xffff exact, 0 any port */
    __u8 proto_any; /* 1: keys with this mask have proto 0 */
    __u8 kinds;     /* RAIND_KIND_* */
};

/* raind_gen: key u32 slot. Describes what the slot's inner maps hold. */
struct raind_gen {
    __u64 revision;
    __u32 gen; /* equals the one in raind_active while in force */
    __u32 slot;
    __u8 digest[32]; /* SHA-256 of the canonical set; zero = dirty */
    __u64 loose_until;
    __u8 default_ew; /* RAIND_MODE_*; east-west without a rule is denied, or audited */
    __u8 default_ns;
    __u8 host_to_container; /* 1: predefined rule 6 allows */
    __u8 dns_mode;
    __u8 nmask;
    __u8 max_probes; /* 0 = RAIND_MAX_PROBES */
    __u16 pad;
    __u32 stamp_mask;
    struct raind_mask masks[RAIND_MAX_MASKS];
    __u8 reserved[60];
};
RAIND_ABI_SIZE(raind_gen, 192);
RAIND_ABI_OFFSET(raind_gen, digest, 16);
RAIND_ABI_OFFSET(raind_gen, default_ew, 56);
RAIND_ABI_OFFSET(raind_gen, stamp_mask, 64);
RAIND_ABI_OFFSET(raind_gen, masks, 68);

/* policy_0, policy_1. */
struct raind_polkey {
    __u32 src;  /* class */
    __u32 dst;  /* class */
    __u16 port; /* masked; ICMP: type * 256 + code */
    __u8 proto; /* 0 = any */
    __u8 zero;
};
RAIND_ABI_SIZE(raind_polkey, 12);

struct raind_polval {
    __u32 rule;
    __u32 precedence; /* RAIND_PRECEDENCE */
    __u8 action;      /* RAIND_ACT_* */
    __u8 flags;       /* RAIND_POL_* */
    __u16 pad;
    __u32 reserved;
};
RAIND_ABI_SIZE(raind_polval, 16);

/* cidr_0, cidr_1: key struct raind_prefix. The whole chain of an address whose longest prefix this
 * is: classes from the most to the least specific, WORLD, ANY. No prefix: WORLD, ANY. */
struct raind_chain {
    __u32 n;
    __u32 cls[RAIND_MAX_CHAIN];
};
RAIND_ABI_SIZE(raind_chain, 36);

/* ident_0, ident_1: key u32 identity. The whole chain: itself, selectors, CONTAINERS, ANY. */
struct raind_identval {
    struct raind_chain chain;
    __u32 mode; /* reserved, zero */
};
RAIND_ABI_SIZE(raind_identval, 40);

/* raind_ct. The smaller (address, port) is a, so both directions give one key. ICMP requests have
 * the identifier as source port and 0 as destination port, replies the reverse; other ICMP types
 * have 0 and type * 256 + code. The type is part of the key, and so is who asks: what is no reply
 * to the opener's own request has another key, whatever its identifier says. */
struct raind_ctkey {
    struct raind_ip a;
    struct raind_ip b;
    __u16 pa;
    __u16 pb;
    __u8 proto;
    __u8 icmp_type; /* of the request, 0 for other protocols */
    __u8 icmp_code;
    __u8 icmp_from_b; /* 1: b asks (or sends what has no reply) */
};
RAIND_ABI_SIZE(raind_ctkey, 40);

struct raind_ctval {
    __u32 gen;    /* generation that permitted it last */
    __u32 rule;   /* rule that permitted it last */
    __u32 src_id; /* opener */
    __u32 dst_id;
    __u32 src_ep; /* 0: not an endpoint */
    __u32 dst_ep;
    __u64 flow_id;
    __u64 created;    /* CLOCK_BOOTTIME ns */
    __u64 last;       /* written at most every 100 ms */
    __u64 packets[2]; /* 0 = opener's direction */
    __u64 bytes[2];
    __u8 state; /* RAIND_CT_* */
    __u8 flags; /* RAIND_CTF_* */
    __u8 tcp_seen[2];
    __u16 dport; /* port the verdict was made with */
    __u16 pad;
    __u32 match_class;
    __u32 ifindex;  /* port at which it was opened */
    __u64 revision; /* of gen */
    __u64 reserved;
};
RAIND_ABI_SIZE(raind_ctval, 112);
RAIND_ABI_OFFSET(raind_ctval, flow_id, 24);
RAIND_ABI_OFFSET(raind_ctval, packets, 48);
RAIND_ABI_OFFSET(raind_ctval, state, 80);
RAIND_ABI_OFFSET(raind_ctval, match_class, 88);
RAIND_ABI_OFFSET(raind_ctval, revision, 96);

/* raind_quota: key u32 ep_id. Counters change by atomic adds; the sweep recounts them. */
struct raind_quota {
    __u32 open_out; /* flows the endpoint opened */
    __u32 open_in;  /* flows that host or outside opened to it */
    __u32 limit_out;
    __u32 limit_in;
    __u32 tokens;      /* records it may still cause */
    __u32 events_lost; /* since its last LOST record */
    __u64 refill_ns;
    __u64 over_out; /* refused for the limit */
    __u64 over_in;
    __u32 count_out; /* of the recount that is running */
    __u32 count_in;
    __u32 deny_open; /* its entries in raind_denyagg */
    __u32 lost_said; /* boottime second of its last LOST record */
};
RAIND_ABI_SIZE(raind_quota, 64);
RAIND_ABI_OFFSET(raind_quota, refill_ns, 24);

struct raind_counter {
    __u64 packets;
    __u64 bytes;
};

/* raind_epstat: key u32 ep_id. */
struct raind_epstat {
    struct raind_counter in;
    struct raind_counter out;
    struct raind_counter denied_in;
    struct raind_counter denied_out;
};
RAIND_ABI_SIZE(raind_epstat, 64);

/* raind_rulehit: key u32 rule. Only new flows touch it. */
struct raind_rulehit {
    __u64 opened; /* flows permitted */
    __u64 denied;
    __u64 cut;
    __u64 last_ns;
};
RAIND_ABI_SIZE(raind_rulehit, 32);

struct raind_denykey {
    __u32 ep_id;
    struct raind_ip addr; /* the other side */
    __u16 port;
    __u8 proto;
    __u8 reason;
};
RAIND_ABI_SIZE(raind_denykey, 24);

struct raind_denyval {
    __u64 last_ns; /* last record made */
    __u32 count;   /* denials since */
    __u32 pad;
    struct raind_event event; /* what the sweep sends when the key goes quiet */
};
RAIND_ABI_SIZE(raind_denyval, 208);

/* raind_beat: written by the daemon every 2 s. */
struct raind_beat {
    __u64 heartbeat; /* CLOCK_BOOTTIME ns */
    __u32 layout;
    __u32 pad;
};
RAIND_ABI_SIZE(raind_beat, 16);

/* raind_total: all flow entries. */
struct raind_total {
    __u32 flows;
    __u32 count; /* of the recount that is running */
    __u32 max;   /* size of raind_ct; written by the loader */
    __u32 pad;
};
RAIND_ABI_SIZE(raind_total, 16);

/* raind_rulename, raind_idname: for people with bpftool; no program reads them. */
struct raind_rulename {
    char policy[48];
    char source[16]; /* user, predefined */
};
struct raind_idname {
    char name[64];
};
RAIND_ABI_SIZE(raind_rulename, 64);
RAIND_ABI_SIZE(raind_idname, 64);

/* Layouts of maps that programs of this version do not use yet. */
struct raind_fqdnkey {
    __u32 identity;
    __u32 pad;
    struct raind_ip addr;
};
struct raind_fqdnval {
    __u64 expires;
    __u32 classes[4];
};
struct raind_fragkey {
    __u32 ep_id;
    struct raind_ip src;
    struct raind_ip dst;
    __u32 ident;
    __u8 proto;
    __u8 pad[3];
};
struct raind_fragval {
    __u64 expires;
    __u16 sport;
    __u16 dport;
    __u16 icmp;
    __u16 pad;
};
struct raind_sockval {
    __u32 pid;
    __u32 uid;
    char comm[16];
    __u64 cgroup;
    __u32 ep_id;
    __u32 pad;
};
RAIND_ABI_SIZE(raind_fqdnkey, 24);
RAIND_ABI_SIZE(raind_fqdnval, 24);
RAIND_ABI_SIZE(raind_fragkey, 44);
RAIND_ABI_SIZE(raind_fragval, 16);
RAIND_ABI_SIZE(raind_sockval, 40);

#endif
