/* Parsing with real lengths. raind_parse fills the packet part of the work area or says why the
 * packet cannot be judged. Only what the receiver will see the same way gets through. */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "lib/util.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20

#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ICMP6 58
#define PROTO_SCTP 132

#define IPV6_MAX_EXT 6

#define ND_RS 133
#define ND_RA 134
#define ND_NS 135
#define ND_NA 136
#define ND_REDIRECT 137

/* First 8 bytes of ICMP and ICMPv6 (the UAPI headers of both pull in libc). */
struct icmp_head {
    __u8 type;
    __u8 code;
    __be16 sum;
    __be16 id;
    __be16 seq;
};

/* Ethernet header; the EtherTypes of tags are told apart by the caller. */
RAIND_LEAF int parse_eth(struct __sk_buff* ctx, struct raind_work* w) {
    struct ethhdr eth;

    w->len = ctx->len;
    w->ifindex = ctx->ifindex;
    w->mark = ctx->mark;
    if (bpf_skb_load_bytes(ctx, 0, &eth, sizeof(eth)))
        return RAIND_R_SHORT;
    mac_copy(w->smac, eth.h_source);
    mac_copy(w->dmac, eth.h_dest);
    w->ethertype = bpf_ntohs(eth.h_proto);
    return 0;
}

RAIND_LEAF int parse_ip4(struct __sk_buff* ctx, struct raind_work* w) {
    struct iphdr ip;
    __u32 total;
    __u16 frag;

    if (bpf_skb_load_bytes(ctx, ETH_HLEN, &ip, sizeof(ip)))
        return RAIND_R_IP_HEADER;
    total = bpf_ntohs(ip.tot_len);
    if (ip.version != 4 || ip.ihl < 5 || total < ip.ihl * 4u || total + ETH_HLEN > w->len)
        return RAIND_R_IP_HEADER;
    if (ip.ihl > 5)
        return RAIND_R_IP_OPTIONS;
    frag = bpf_ntohs(ip.frag_off);
    if (frag & 0x8000)
        return RAIND_R_IP_HEADER;
    if (frag & 0x3fff)
        return RAIND_R_FRAGMENT;
    if (ip.protocol == PROTO_ICMP6)
        return RAIND_R_IP_HEADER;
    ip_from4(&w->src, ip.saddr);
    ip_from4(&w->dst, ip.daddr);
    w->family = 4;
    w->proto = ip.protocol;
    w->hop = ip.ttl;
    w->l4 = ETH_HLEN + sizeof(ip);
    w->end = ETH_HLEN + total;
    return 0;
}

/* Walks hop-by-hop and destination options; everything else between is refused. */
RAIND_LEAF int parse_ext(struct __sk_buff* ctx, struct raind_work* w, __u8 next) {
    __u32 off = w->l4;

    for (int i = 0; i <= IPV6_MAX_EXT; i++) {
        __u8 head[2];

        if (next == IPPROTO_FRAGMENT)
            return RAIND_R_FRAGMENT;
        if (next == IPPROTO_ROUTING || next == IPPROTO_AH || next == 135 || next == 139 ||
            next == 140 || next == IPPROTO_NONE || next == PROTO_ICMP)
            return RAIND_R_EXT_HEADER;
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS) {
            w->proto = next;
            w->l4 = off;
            return 0;
        }
        /* hop-by-hop is first or refused by the receiver */
        if (i == IPV6_MAX_EXT || (next == IPPROTO_HOPOPTS && i != 0) || off + 8 > w->end)
            return RAIND_R_EXT_HEADER;
        if (bpf_skb_load_bytes(ctx, off, head, sizeof(head)))
            return RAIND_R_EXT_HEADER;
        next = head[0];
        off += (head[1] + 1u) * 8;
        if (off > w->end)
            return RAIND_R_EXT_HEADER;
    }
    return RAIND_R_EXT_HEADER;
}

RAIND_LEAF int parse_ip6(struct __sk_buff* ctx, struct raind_work* w) {
    struct ipv6hdr ip;
    __u32 total;

    if (bpf_skb_load_bytes(ctx, ETH_HLEN, &ip, sizeof(ip)))
        return RAIND_R_IP_HEADER;
    total = sizeof(ip) + bpf_ntohs(ip.payload_len);
    if (ip.version != 6 || total + ETH_HLEN > w->len)
        return RAIND_R_IP_HEADER;
    for (int i = 0; i < 4; i++) {
        ((raind_word*)w->src.b)[i] = ip.saddr.in6_u.u6_addr32[i];
        ((raind_word*)w->dst.b)[i] = ip.daddr.in6_u.u6_addr32[i];
    }
    w->family = 6;
    w->hop = ip.hop_limit;
    w->l4 = ETH_HLEN + sizeof(ip);
    w->end = ETH_HLEN + total;
    return parse_ext(ctx, w, ip.nexthdr);
}

RAIND_LEAF int parse_tcp(struct __sk_buff* ctx, struct raind_work* w) {
    struct tcphdr tcp;
    __u8 flags;

    if (w->l4 + sizeof(tcp) > w->end || bpf_skb_load_bytes(ctx, w->l4, &tcp, sizeof(tcp)))
        return RAIND_R_SHORT;
    if (tcp.doff < 5 || w->l4 + tcp.doff * 4u > w->end)
        return RAIND_R_SHORT;
    flags = ((__u8*)&tcp)[13] & 0x3f;
    if (!flags || (flags & (TCP_SYN | TCP_FIN)) == (TCP_SYN | TCP_FIN) ||
        (flags & (TCP_SYN | TCP_RST)) == (TCP_SYN | TCP_RST) ||
        (flags & (TCP_FIN | TCP_RST)) == (TCP_FIN | TCP_RST) ||
        (flags & (TCP_FIN | TCP_URG | TCP_PSH | TCP_ACK)) == (TCP_FIN | TCP_URG | TCP_PSH))
        return RAIND_R_TCP_FLAGS;
    w->sport = bpf_ntohs(tcp.source);
    w->dport = bpf_ntohs(tcp.dest);
    w->pport = w->dport;
    w->tcp_flags = flags;
    w->tcp_seq = bpf_ntohl(tcp.seq);
    w->tcp_ack = bpf_ntohl(tcp.ack_seq);
    w->payload = w->end - w->l4 - tcp.doff * 4u;
    return 0;
}

RAIND_LEAF __u8 icmp_kind4(__u8 type) {
    switch (type) {
        case 8:
        case 13:
        case 15:
        case 17:
            return ICMP_REQUEST;
        case 0:
        case 14:
        case 16:
        case 18:
            return ICMP_REPLY;
        case 3:
        case 4:
        case 5:
        case 11:
        case 12:
            return ICMP_ERR;
        default:
            return ICMP_OTHER;
    }
}

RAIND_LEAF __u8 icmp_kind6(__u8 type) {
    if (type == 128)
        return ICMP_REQUEST;
    if (type == 129 || type == 140)
        return ICMP_REPLY;
    if (type >= 1 && type <= 4)
        return ICMP_ERR;
    if (type >= ND_RS && type <= ND_REDIRECT)
        return ICMP_ND;
    if ((type >= 130 && type <= 132) || type == 143)
        return ICMP_MLD;
    return ICMP_OTHER;
}

/* The request that a type of kind ICMP_REPLY answers. */
RAIND_LEAF __u8 icmp_request_of(__u8 reply) {
    return reply ? reply - 1 : 8;
}

/* Requests have (identifier, 0), replies (0, identifier): a request in the other direction with
 * the same identifier is a flow of its own. */
RAIND_LEAF int parse_icmp(struct __sk_buff* ctx, struct raind_work* w) {
    struct icmp_head icmp;

    if (w->l4 + sizeof(icmp) > w->end || bpf_skb_load_bytes(ctx, w->l4, &icmp, sizeof(icmp)))
        return RAIND_R_SHORT;
    w->icmp_type = icmp.type;
    w->icmp_code = icmp.code;
    w->icmp_kind = w->family == 4 ? icmp_kind4(icmp.type) : icmp_kind6(icmp.type);
    w->pport = (__u16)(icmp.type << 8 | icmp.code);
    w->sport = 0;
    w->dport = w->pport;
    if (w->icmp_kind == ICMP_REQUEST) {
        w->sport = bpf_ntohs(icmp.id);
        w->dport = 0;
    } else if (w->icmp_kind == ICMP_REPLY) {
        w->dport = bpf_ntohs(icmp.id);
    }
    return 0;
}

RAIND_LEAF int parse_l4(struct __sk_buff* ctx, struct raind_work* w) {
    struct udphdr udp;
    __u32 need;

    w->sport = 0;
    w->dport = 0;
    w->pport = 0;
    w->tcp_flags = 0;
    w->icmp_type = 0;
    w->icmp_code = 0;
    w->icmp_kind = ICMP_NONE;
    w->payload = 0;
    if (w->proto == PROTO_TCP)
        return parse_tcp(ctx, w);
    if (w->proto == PROTO_ICMP || w->proto == PROTO_ICMP6)
        return parse_icmp(ctx, w);
    if (w->proto != PROTO_UDP && w->proto != PROTO_SCTP)
        return 0;
    need = w->proto == PROTO_UDP ? sizeof(udp) : 12;
    if (w->l4 + need > w->end || bpf_skb_load_bytes(ctx, w->l4, &udp, sizeof(udp)))
        return RAIND_R_SHORT;
    if (w->proto == PROTO_UDP) {
        __u32 len = bpf_ntohs(udp.len);
        if (len < sizeof(udp) || w->l4 + len > w->end)
            return RAIND_R_SHORT;
    }
    w->sport = bpf_ntohs(udp.source);
    w->dport = bpf_ntohs(udp.dest);
    w->pport = w->dport;
    return 0;
}

/* IPv4 or IPv6 frame in w->ethertype; 0 or the reason why it cannot be judged. */
RAIND_STAGE int raind_parse(struct __sk_buff* ctx, __u32 level) {
    struct raind_work* w = work_at(level);
    int reason;

    if (!w)
        return RAIND_R_MEMORY;
    reason = w->ethertype == ETH_P_IP ? parse_ip4(ctx, w) : parse_ip6(ctx, w);
    if (reason)
        return reason;
    return parse_l4(ctx, w);
}
