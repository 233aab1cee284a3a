/* A denied TCP segment becomes the reset that its sender would get from a closed port, and goes
 * back to the container it came from. */
#pragma once

#include "lib/neigh.h"

#define TCP_HEADER 20

RAIND_LEAF void reset_tcp(struct raind_work* w) {
    __u32 seq = 0, ack = 0;
    __u8 flags = TCP_RST;

    if (w->tcp_flags & TCP_ACK) {
        seq = w->tcp_ack;
    } else {
        flags |= TCP_ACK;
        ack = w->tcp_seq + w->payload + !!(w->tcp_flags & TCP_SYN) + !!(w->tcp_flags & TCP_FIN);
    }
    __builtin_memset(w->tp, 0, sizeof(w->tp));
    put16(w->tp, w->dport);
    put16(w->tp + 2, w->sport);
    put32(w->tp + 4, seq);
    put32(w->tp + 8, ack);
    w->tp[12] = 5 << 4;
    w->tp[13] = flags;
}

RAIND_LEAF __u32 reset_ip4(struct raind_work* w) {
    __u16 fold;

    __builtin_memset(w->l3, 0, sizeof(w->l3));
    w->l3[0] = 0x45;
    put16(w->l3 + 2, 20 + TCP_HEADER);
    put16(w->l3 + 6, 0x4000);
    w->l3[8] = 64;
    w->l3[9] = PROTO_TCP;
    store4(w->l3 + 12, ip_word(&w->dst, 3));
    store4(w->l3 + 16, ip_word(&w->src, 3));
    fold = csum_fold((__u32)bpf_csum_diff(0, 0, (__be32*)w->l3, 20, 0));
    w->l3[10] = fold & 0xff;
    w->l3[11] = fold >> 8;
    return (__u32)bpf_csum_diff(0, 0, (__be32*)(w->l3 + 12), 8,
                                bpf_htons(PROTO_TCP) + bpf_htons(TCP_HEADER));
}

RAIND_LEAF __u32 reset_ip6(struct raind_work* w) {
    __builtin_memset(w->l3, 0, sizeof(w->l3));
    w->l3[0] = 0x60;
    put16(w->l3 + 4, TCP_HEADER);
    w->l3[6] = PROTO_TCP;
    w->l3[7] = 64;
    ip_copy((struct raind_ip*)(w->l3 + 8), &w->dst);
    ip_copy((struct raind_ip*)(w->l3 + 24), &w->src);
    return (__u32)bpf_csum_diff(0, 0, (__be32*)(w->l3 + 8), 32,
                                bpf_htons(PROTO_TCP) + bpf_htons(TCP_HEADER));
}

/* 1 when ctx is now the reset. */
RAIND_STAGE int raind_reset(struct __sk_buff* ctx, __u32 level) {
    struct raind_work* w = work_at(level);
    __u32 sum, head;
    __u16 fold;

    if (!w || w->proto != PROTO_TCP || (w->tcp_flags & TCP_RST))
        return 0;
    head = w->family == 4 ? 20 : 40;
    reset_tcp(w);
    sum = w->family == 4 ? reset_ip4(w) : reset_ip6(w);
    fold = csum_fold((__u32)bpf_csum_diff(0, 0, (__be32*)w->tp, TCP_HEADER, sum));
    w->tp[16] = fold & 0xff;
    w->tp[17] = fold >> 8;
    eth_back(w);
    if (w->len != ETH_HLEN + head + TCP_HEADER &&
        bpf_skb_change_tail(ctx, ETH_HLEN + head + TCP_HEADER, 0))
        return 0;
    if (bpf_skb_store_bytes(ctx, 0, w->eth, ETH_HLEN, 0) ||
        bpf_skb_store_bytes(ctx, ETH_HLEN + head, w->tp, TCP_HEADER, 0))
        return 0;
    if (w->family == 4)
        return !bpf_skb_store_bytes(ctx, ETH_HLEN, w->l3, 20, 0);
    return !bpf_skb_store_bytes(ctx, ETH_HLEN, w->l3, 40, 0);
}
