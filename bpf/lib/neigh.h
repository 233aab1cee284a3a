/* ARP and neighbour discovery. A port may speak of its own addresses only; every question about
 * another address is answered on the spot with the gateway's MAC, so that all traffic of a
 * container is addressed to the bridge. */
#pragma once

#include "lib/parse.h"

#define ARPHRD_ETHER 1
#define ARPOP_REQUEST 1
#define ARPOP_REPLY 2

struct arp_body {
    __be16 hrd;
    __be16 pro;
    __u8 hln;
    __u8 pln;
    __be16 op;
    __u8 sha[6];
    __u8 spa[4];
    __u8 tha[6];
    __u8 tpa[4];
} __attribute__((packed));

RAIND_LEAF __u32 load4(const __u8* b) {
    return (__u32)b[0] | (__u32)b[1] << 8 | (__u32)b[2] << 16 | (__u32)b[3] << 24;
}

RAIND_LEAF void store4(__u8* b, __u32 v) {
    b[0] = v;
    b[1] = v >> 8;
    b[2] = v >> 16;
    b[3] = v >> 24;
}

/* Ethernet header of what goes back to the container. */
RAIND_LEAF void eth_back(struct raind_work* w) {
    mac_copy(w->eth, w->ep.mac);
    mac_copy(w->eth + 6, w->ep.gw_mac);
    put16(w->eth + 12, w->ethertype);
}

RAIND_LEAF int arp_answer(struct __sk_buff* ctx, struct raind_work* w, struct arp_body* arp) {
    __u32 asked = load4(arp->tpa);

    arp->op = bpf_htons(ARPOP_REPLY);
    mac_copy(arp->sha, w->ep.gw_mac);
    store4(arp->spa, asked);
    mac_copy(arp->tha, w->ep.mac);
    store4(arp->tpa, ip_word(&w->ep.ip4, 3));
    eth_back(w);
    if (bpf_skb_store_bytes(ctx, 0, w->eth, ETH_HLEN, 0) ||
        bpf_skb_store_bytes(ctx, ETH_HLEN, arp, sizeof(*arp), 0))
        return RAIND_R_MEMORY;
    w->act = ACT_ANSWER;
    return RAIND_R_ANSWERED;
}

/* ARP from a container. */
RAIND_STAGE int raind_arp(struct __sk_buff* ctx, __u32 level) {
    struct raind_work* w = work_at(level);
    struct arp_body arp;
    __u32 own, sender, target;

    if (!w)
        return RAIND_R_MEMORY;
    if (bpf_skb_load_bytes(ctx, ETH_HLEN, &arp, sizeof(arp)))
        return RAIND_R_ARP;
    sender = load4(arp.spa);
    target = load4(arp.tpa);
    ip_from4(&w->src, sender);
    ip_from4(&w->dst, target);
    if (arp.hrd != bpf_htons(ARPHRD_ETHER) || arp.pro != bpf_htons(ETH_P_IP) || arp.hln != 6 ||
        arp.pln != 4 || !mac_equal(arp.sha, w->ep.mac) || ip_zero(&w->ep.ip4))
        return RAIND_R_ARP;
    own = ip_word(&w->ep.ip4, 3);
    if (arp.op == bpf_htons(ARPOP_REQUEST)) {
        if (!sender || (sender == own && target == own))
            return RAIND_R_QUIET;
        if (sender != own)
            return RAIND_R_ARP;
        return arp_answer(ctx, w, &arp);
    }
    if (arp.op != bpf_htons(ARPOP_REPLY) || sender != own)
        return RAIND_R_ARP;
    if (target == own)
        return RAIND_R_QUIET; /* gratuitous */
    if (!mac_equal(arp.tha, w->ep.gw_mac) || !mac_equal(w->dmac, w->ep.gw_mac))
        return RAIND_R_ARP;
    w->act = ACT_PASS;
    return RAIND_R_NEIGHBOUR;
}

struct nd_body {
    __u8 type;
    __u8 code;
    __be16 sum;
    __be32 flags;
    struct raind_ip target;
    __u8 opt[8];
};

#define ND_FRAME (ETH_HLEN + 40 + 32)

/* Advertisement of the gateway's MAC for the target asked for, in place of the question. */
RAIND_LEAF int nd_answer(struct __sk_buff* ctx, struct raind_work* w, struct raind_ip* target) {
    __s64 sum;
    __u16 fold;

    if (w->len != ND_FRAME && bpf_skb_change_tail(ctx, ND_FRAME, 0))
        return RAIND_R_MEMORY;
    eth_back(w);
    __builtin_memset(w->l3, 0, sizeof(w->l3));
    w->l3[0] = 0x60;
    put16(w->l3 + 4, 32);
    w->l3[6] = PROTO_ICMP6;
    w->l3[7] = 255;
    ip_copy((struct raind_ip*)(w->l3 + 8), target);
    ip_copy((struct raind_ip*)(w->l3 + 24), &w->src);
    __builtin_memset(w->tp, 0, sizeof(w->tp));
    w->tp[0] = ND_NA;
    w->tp[4] = 0x60; /* solicited, override */
    ip_copy((struct raind_ip*)(w->tp + 8), target);
    w->tp[24] = 2;
    w->tp[25] = 1;
    mac_copy(w->tp + 26, w->ep.gw_mac);
    sum = bpf_csum_diff(0, 0, (__be32*)(w->l3 + 8), 32, bpf_htons(32) + bpf_htons(PROTO_ICMP6));
    sum = bpf_csum_diff(0, 0, (__be32*)w->tp, 32, (__wsum)sum);
    fold = csum_fold((__u32)sum);
    w->tp[2] = fold & 0xff;
    w->tp[3] = fold >> 8;
    if (bpf_skb_store_bytes(ctx, 0, w->eth, ETH_HLEN, 0) ||
        bpf_skb_store_bytes(ctx, ETH_HLEN, w->l3, 40, 0) ||
        bpf_skb_store_bytes(ctx, ETH_HLEN + 40, w->tp, 32, 0))
        return RAIND_R_MEMORY;
    w->act = ACT_ANSWER;
    return RAIND_R_ANSWERED;
}

RAIND_LEAF int is_link_local(const struct raind_ip* ip) {
    return ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

RAIND_LEAF int nd_solicit(struct __sk_buff* ctx, struct raind_work* w, struct nd_body* nd) {
    if (ip_zero(&w->src))
        return RAIND_R_QUIET; /* duplicate address detection: nobody else has it */
    if (!ip_equal(&w->src, &w->ep.ip6) && !is_link_local(&w->src))
        return RAIND_R_SRC_IP;
    if (nd->target.b[0] == 0xff)
        return RAIND_R_NDP;
    if (ip_equal(&nd->target, &w->ep.ip6))
        return RAIND_R_QUIET;
    return nd_answer(ctx, w, &nd->target);
}

/* Only of the own address, only with the own MAC, only to the gateway. */
RAIND_LEAF int nd_advert(struct raind_work* w, struct nd_body* nd) {
    struct raind_addrval* to;

    if (!ip_equal(&w->src, &w->ep.ip6))
        return RAIND_R_SRC_IP;
    if (!ip_equal(&nd->target, &w->ep.ip6) || nd->opt[0] != 2 || nd->opt[1] != 1 ||
        !mac_equal(nd->opt + 2, w->ep.mac) || !mac_equal(w->dmac, w->ep.gw_mac))
        return RAIND_R_NDP;
    to = bpf_map_lookup_elem(&raind_addr, &w->dst);
    if (!to || !(to->flags & RAIND_ADDR_GATEWAY))
        return RAIND_R_NDP;
    w->act = ACT_PASS;
    return RAIND_R_NEIGHBOUR;
}

/* ICMPv6 133 to 137 from a container; raind_parse has been there. */
RAIND_STAGE int raind_nd(struct __sk_buff* ctx, __u32 level) {
    struct raind_work* w = work_at(level);
    struct nd_body nd = {};
    __u32 size;

    if (!w)
        return RAIND_R_MEMORY;
    if (w->icmp_type == ND_RS)
        w->silent = 1; /* every Linux host asks once; nobody answers here */
    if ((w->icmp_type != ND_NS && w->icmp_type != ND_NA) || w->hop != 255 || w->icmp_code ||
        w->l4 != ETH_HLEN + 40 || ip_zero(&w->ep.ip6))
        return RAIND_R_NDP;
    size = w->end - w->l4;
    if (size != 24 && size != 32)
        return RAIND_R_NDP;
    if (bpf_skb_load_bytes(ctx, ETH_HLEN + 40, &nd, 24))
        return RAIND_R_NDP;
    if (size == 32 && bpf_skb_load_bytes(ctx, ETH_HLEN + 64, nd.opt, sizeof(nd.opt)))
        return RAIND_R_NDP;
    return w->icmp_type == ND_NS ? nd_solicit(ctx, w, &nd) : nd_advert(w, &nd);
}
