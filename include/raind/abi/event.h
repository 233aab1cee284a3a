/* The record that programs write into both rings. Fixed, 192 bytes, version first. */
#ifndef RAIND_ABI_EVENT_H
#define RAIND_ABI_EVENT_H

#include "raind/abi/base.h"

struct raind_event {
    __u8 version; /* RAIND_EVENT_VERSION */
    __u8 type;    /* RAIND_EV_* */
    __u8 verdict; /* RAIND_V_* */
    __u8 reason;  /* RAIND_R_* */
    __u16 length; /* 192 */
    __u8 family;  /* 4, 6; 0 = not IP */
    __u8 proto;   /* IP protocol number */
    __u64 time;   /* CLOCK_BOOTTIME ns */
    __u64 revision;
    struct raind_ip src; /* as claimed by the packet (flow records: the opener) */
    struct raind_ip dst;
    __u16 sport; /* host order; ICMP: identifier */
    __u16 dport;
    __u8 icmp_type;
    __u8 icmp_code;
    __u8 tcp_flags;
    __u8 flags;  /* RAIND_EVF_* */
    __u32 count; /* DENY: suppressed since the last record of the key; LOST: records lost */
    __u32 rule;
    __u32 gen;
    __u32 src_identity;
    __u32 dst_identity;
    __u32 match_class; /* class that matched on the other side */
    __u32 src_ep;
    __u32 dst_ep;
    __u64 packets_fwd; /* opener's direction */
    __u64 bytes_fwd;
    __u64 packets_rev;
    __u64 bytes_rev;
    __u64 started; /* CLOCK_BOOTTIME ns */
    __u64 flow_id;
    __u64 cookie; /* socket; 0 = unknown */
    __u64 cgroup;
    __u32 pid;
    __u32 uid;
    char comm[16];
    __u32 ifindex;  /* port at which it was decided */
    __u8 end;       /* RAIND_END_* */
    __u8 lost_kind; /* LOST: RAIND_LOST_* */
    __u8 pad[2];
};
RAIND_ABI_SIZE(raind_event, 192);
RAIND_ABI_OFFSET(raind_event, type, 1);
RAIND_ABI_OFFSET(raind_event, verdict, 2);
RAIND_ABI_OFFSET(raind_event, reason, 3);
RAIND_ABI_OFFSET(raind_event, length, 4);
RAIND_ABI_OFFSET(raind_event, family, 6);
RAIND_ABI_OFFSET(raind_event, proto, 7);
RAIND_ABI_OFFSET(raind_event, time, 8);
RAIND_ABI_OFFSET(raind_event, revision, 16);
RAIND_ABI_OFFSET(raind_event, src, 24);
RAIND_ABI_OFFSET(raind_event, dst, 40);
RAIND_ABI_OFFSET(raind_event, sport, 56);
RAIND_ABI_OFFSET(raind_event, dport, 58);
RAIND_ABI_OFFSET(raind_event, icmp_type, 60);
RAIND_ABI_OFFSET(raind_event, icmp_code, 61);
RAIND_ABI_OFFSET(raind_event, tcp_flags, 62);
RAIND_ABI_OFFSET(raind_event, flags, 63);
RAIND_ABI_OFFSET(raind_event, count, 64);
RAIND_ABI_OFFSET(raind_event, rule, 68);
RAIND_ABI_OFFSET(raind_event, gen, 72);
RAIND_ABI_OFFSET(raind_event, src_identity, 76);
RAIND_ABI_OFFSET(raind_event, dst_identity, 80);
RAIND_ABI_OFFSET(raind_event, match_class, 84);
RAIND_ABI_OFFSET(raind_event, src_ep, 88);
RAIND_ABI_OFFSET(raind_event, dst_ep, 92);
RAIND_ABI_OFFSET(raind_event, packets_fwd, 96);
RAIND_ABI_OFFSET(raind_event, started, 128);
RAIND_ABI_OFFSET(raind_event, flow_id, 136);
RAIND_ABI_OFFSET(raind_event, cookie, 144);
RAIND_ABI_OFFSET(raind_event, cgroup, 152);
RAIND_ABI_OFFSET(raind_event, pid, 160);
RAIND_ABI_OFFSET(raind_event, uid, 164);
RAIND_ABI_OFFSET(raind_event, comm, 168);
RAIND_ABI_OFFSET(raind_event, ifindex, 184);
RAIND_ABI_OFFSET(raind_event, end, 188);

#endif
