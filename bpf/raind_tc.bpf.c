/* raind_from and raind_to: the verdict on everything a container sends and gets, on the host side
 * of its veth. Both read like the table in the design: one line a step, each with its reason. */
#include <linux/pkt_cls.h>

#include "lib/bpf.h"
#include "lib/flow.h"
#include "lib/identity.h"
#include "lib/neigh.h"
#include "lib/reset.h"
#include "maps.h"

char LICENSE[] SEC("license") = "GPL";

#define NEXT_PROGRAM (-1)

RAIND_LEAF void work_reset(struct raind_work* w, int inbound) {
    w->now = bpf_ktime_get_boot_ns();
    w->active = read_active();
    w->act = ACT_DROP;
    w->reason = RAIND_R_NONE;
    w->verdict = RAIND_V_DENY;
    w->silent = 0;
    w->inbound = inbound;
    w->publish = 0;
    w->hairpin = 0;
    w->rule = 0;
    w->match_class = 0;
    w->flow_id = 0;
    w->ct_flags = 0;
    w->family = 0;
    w->proto = 0;
    w->sport = 0;
    w->dport = 0;
    w->pport = 0;
    w->icmp_type = 0;
    w->icmp_code = 0;
    w->icmp_kind = ICMP_NONE;
    w->tcp_flags = 0;
    w->src_id = 0;
    w->dst_id = 0;
    w->src_ep = 0;
    w->dst_ep = 0;
    w->peer_flags = 0;
    w->ep.ep_id = 0;
    w->ep.identity = 0;
    ip_clear(&w->src);
    ip_clear(&w->dst);
}

/* The port's endpoint and the frame's outside; 0 or a reason. */
RAIND_STAGE int raind_port(struct __sk_buff* ctx, __u32 level) {
    struct raind_work* w = work_at(level);
    struct raind_endpoint* ep;
    int reason;

    if (!w)
        return RAIND_R_MEMORY;
    reason = parse_eth(ctx, w);
    ep = bpf_map_lookup_elem(&raind_ep, &w->ifindex);
    if (!ep || !ep->ep_id)
        return RAIND_R_NO_ENDPOINT;
    w->ep = *ep;
    if (w->inbound) {
        w->dst_id = ep->identity;
        w->dst_ep = ep->ep_id;
    } else {
        w->src_id = ep->identity;
        w->src_ep = ep->ep_id;
    }
    if (ep->flags & RAIND_EP_QUARANTINE)
        return RAIND_R_QUARANTINE;
    if (reason)
        return reason;
    if (ctx->vlan_present || w->ethertype == ETH_P_8021Q || w->ethertype == ETH_P_8021AD ||
        w->ethertype == ETH_P_QINQ1)
        return RAIND_R_VLAN;
    return 0;
}

/* First packets only: TCP SYN, ICMP request, anything of other protocols. */
RAIND_LEAF int proper_first(const struct raind_work* w) {
    if (w->proto == PROTO_TCP)
        return (w->tcp_flags & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST)) == TCP_SYN;
    return w->icmp_kind != ICMP_REPLY;
}

/* The opener's port has judged and recorded this flow before its translation. */
RAIND_LEAF int second_entry(const struct raind_work* w) {
    return w->inbound && w->src_ep;
}

/* Asks the policy about a new flow and takes its answer over; 0 when it is permitted. */
RAIND_STAGE int raind_ask(__u32 level) {
    struct raind_work* w = work_at(level);

    if (!w)
        return RAIND_R_MEMORY;
    ip_copy(&w->q.src, &w->src);
    ip_copy(&w->q.dst, &w->dst);
    w->q.src_id = w->src_id;
    w->q.dst_id = w->dst_id;
    w->q.ep_flags = w->ep.flags;
    w->q.port = w->pport;
    w->q.proto = w->proto;
    w->q.family = w->family;
    w->q.published = !!(w->ct_flags & RAIND_CTF_PUBLISHED);
    raind_judge(level);
    w->rule = w->q.rule;
    w->match_class = w->q.match_class;
    w->verdict = w->q.verdict;
    w->reason = w->q.reason;
    if (w->rule && !(second_entry(w) && w->verdict != RAIND_V_DENY))
        raind_hit(w->rule, w->verdict == RAIND_V_DENY ? HIT_DENIED : HIT_OPENED, w->now);
    if (w->verdict == RAIND_V_AUDIT)
        w->ct_flags |= RAIND_CTF_AUDIT;
    return w->verdict == RAIND_V_DENY ? w->reason : 0;
}

RAIND_LEAF __u8 flow_flags(const struct raind_work* w) {
    __u8 flags = 0;

    if (!w->src_ep || !w->dst_ep)
        flags |= RAIND_CTF_NS;
    if (is_host(w->src_id) || is_host(w->dst_id))
        flags |= RAIND_CTF_HOST;
    if (w->inbound)
        flags |= RAIND_CTF_IN | RAIND_CTF_SLOW;
    if (w->publish)
        flags |= RAIND_CTF_PUBLISHED | RAIND_CTF_SLOW;
    return flags;
}

/* Known flow, or permitted as a new one: the part that both directions share. */
RAIND_STAGE int raind_flow(__u32 level) {
    struct raind_work* w = work_at(level);
    int found, reason;

    if (!w)
        return RAIND_R_MEMORY;
    if (w->icmp_kind == ICMP_ERR)
        return RAIND_R_ICMP_ERROR;
    make_key(w);
    found = raind_flow_find(level);
    if (found == FLOW_CUT)
        return RAIND_R_CUT;
    if (found == FLOW_HIT) {
        w->act = ACT_JUDGED;
        return RAIND_R_ESTABLISHED;
    }
    if (w->hairpin) /* opens nothing */
        return RAIND_R_SPOOF;
    if (!proper_first(w))
        return RAIND_R_NOT_FIRST;
    if (!raind_quota_free(level))
        return RAIND_R_CT_LIMIT;
    w->ct_flags = flow_flags(w);
    if (w->inbound && (w->mark & RAIND_STAMP_PUBLISHED))
        w->ct_flags |= RAIND_CTF_PUBLISHED;
    reason = raind_ask(level);
    if (reason)
        return reason;
    reason = raind_flow_new(level);
    if (reason > 0)
        return reason;
    if (reason < 0) { /* another CPU was first: its entry answers */
        found = raind_flow_find(level);
        if (found != FLOW_HIT)
            return found == FLOW_CUT ? RAIND_R_CUT : RAIND_R_CT_FULL;
        w->act = ACT_JUDGED;
        return RAIND_R_ESTABLISHED;
    }
    if (!second_entry(w))
        raind_say_new(level);
    w->act = ACT_JUDGED;
    return w->reason;
}

/* Everything a container's frame must come through before the policy is asked. */
RAIND_LEAF int from_checks(struct __sk_buff* ctx, __u32 level, struct raind_work* w) {
    int reason = raind_port(ctx, level);

    if (reason)
        return reason;
    if (!mac_equal(w->smac, w->ep.mac))
        return RAIND_R_SRC_MAC;
    if (w->ethertype == ETH_P_ARP)
        return raind_arp(ctx, level);
    if (w->ethertype != ETH_P_IP && w->ethertype != ETH_P_IPV6)
        return RAIND_R_ETHERTYPE;
    reason = raind_parse(ctx, level);
    if (reason)
        return reason;
    if (w->family == 6 && w->icmp_kind == ICMP_ND)
        return raind_nd(ctx, level);
    if (w->family == 6 && w->icmp_kind == ICMP_MLD &&
        (ip_zero(&w->src) || is_link_local(&w->src) || ip_equal(&w->src, &w->ep.ip6)))
        return RAIND_R_QUIET;
    if (!ip_equal(&w->src, w->family == 4 ? &w->ep.ip4 : &w->ep.ip6))
        return RAIND_R_SRC_IP;
    reason = raind_peer(level);
    if (reason)
        return reason;
    if (w->proto == PROTO_UDP && w->sport == 68 && w->dport == 67)
        return RAIND_R_DHCP;
    return raind_flow(level);
}

RAIND_LEAF int to_neigh(struct raind_work* w) {
    if (!mac_equal(w->smac, w->ep.gw_mac))
        return RAIND_R_SPOOF;
    w->act = ACT_PASS;
    return RAIND_R_NEIGHBOUR;
}

/* Neighbour discovery towards the container: questions and answers of the gateway only. */
RAIND_LEAF int to_nd(struct raind_work* w) {
    struct raind_addrval* av;

    if ((w->icmp_type != ND_NS && w->icmp_type != ND_NA) || w->hop != 255)
        return RAIND_R_NDP;
    if (!is_link_local(&w->src)) {
        av = bpf_map_lookup_elem(&raind_addr, &w->src);
        if (!av || !(av->flags & RAIND_ADDR_GATEWAY))
            return RAIND_R_NDP;
    }
    return to_neigh(w);
}

/* Solicited-node multicast of the endpoint's address. */
RAIND_LEAF int solicited_mac(const struct raind_work* w) {
    return w->dmac[0] == 0x33 && w->dmac[1] == 0x33 && w->dmac[2] == 0xff &&
           w->dmac[3] == w->ep.ip6.b[13] && w->dmac[4] == w->ep.ip6.b[14] &&
           w->dmac[5] == w->ep.ip6.b[15];
}

/* A packet with one of the host's own addresses must have been made here, unless it is the answer
 * of a container behind a published port, translated back. */
RAIND_LEAF int to_source(struct __sk_buff* ctx, struct raind_work* w) {
    struct raind_pubval* behind;

    if (w->src_ep)
        return w->mark & RAIND_STAMP_FROM_PORT ? 0 : RAIND_R_UNSTAMPED;
    if (!is_host(w->src_id) || !ctx->ingress_ifindex)
        return 0;
    if (w->mark & RAIND_STAMP_FROM_PORT) {
        behind = published(w, &w->src, w->sport);
        if (!behind || !behind->ep_id)
            return RAIND_R_SPOOF;
        w->src_id = behind->identity;
        w->src_ep = behind->ep_id;
        w->hairpin = 1;
        return 0;
    }
    if (!(w->mark & RAIND_STAMP_PUBLISHED))
        return RAIND_R_SPOOF;
    w->src_id = RAIND_ID_WORLD; /* other software of the host masqueraded it */
    return 0;
}

RAIND_LEAF int to_checks(struct __sk_buff* ctx, __u32 level, struct raind_work* w) {
    int reason = raind_port(ctx, level), mine;

    if (reason)
        return reason;
    mine = mac_equal(w->dmac, w->ep.mac);
    /* The host's own multicast and broadcast is flooded to every port of the bridge; a container
     * has no part in it, and a record of each would hide those that mean something. */
    if (!mine && (w->ethertype != ETH_P_IPV6 || !solicited_mac(w)))
        return w->dmac[0] & 1 ? RAIND_R_QUIET : RAIND_R_NOT_MINE;
    if (w->ethertype == ETH_P_ARP)
        return to_neigh(w);
    if (w->ethertype != ETH_P_IP && w->ethertype != ETH_P_IPV6)
        return RAIND_R_ETHERTYPE;
    reason = raind_parse(ctx, level);
    if (reason)
        return reason;
    if (w->family == 6 && w->icmp_kind == ICMP_ND)
        return to_nd(w);
    if (!mine || !ip_equal(&w->dst, w->family == 4 ? &w->ep.ip4 : &w->ep.ip6))
        return RAIND_R_NOT_MINE;
    reason = raind_peer(level);
    if (reason)
        return reason;
    reason = to_source(ctx, w);
    if (reason)
        return reason;
    return raind_flow(level);
}

RAIND_LEAF void ep_count(__u32 ep, int inbound, int denied, __u32 len) {
    struct raind_epstat* st = bpf_map_lookup_elem(&raind_epstat, &ep);
    struct raind_counter* c;

    if (!st) {
        lost_add(RAIND_LOST_EPSTAT);
        return;
    }
    if (denied)
        c = inbound ? &st->denied_in : &st->denied_out;
    else
        c = inbound ? &st->in : &st->out;
    c->packets++;
    c->bytes += len;
}

/* Counts the packet, records a drop. */
RAIND_STAGE int raind_account(__u32 level) {
    struct raind_work* w = work_at(level);
    struct raind_counter* c;
    __u32 index, drop;

    if (!w)
        return 0;
    drop = w->act == ACT_DROP;
    index = (w->reason + (drop ? 0 : RAIND_STAT_PASSED)) & (RAIND_MAX_STAT - 1);
    c = bpf_map_lookup_elem(&raind_stat, &index);
    if (c) {
        c->packets++;
        c->bytes += w->len;
    }
    if (w->ep.ep_id)
        ep_count(w->ep.ep_id, w->inbound, drop, w->len);
    if (drop && w->reason != RAIND_R_QUIET && w->reason != RAIND_R_CUT && !w->silent) {
        w->verdict = RAIND_V_DENY;
        raind_say_deny(level);
    }
    return 1;
}

RAIND_LEAF int back_to_sender(struct __sk_buff* ctx, struct raind_work* w) {
    bpf_skb_change_type(ctx, 0 /* PACKET_HOST */);
    return bpf_redirect_peer(w->ifindex, 0);
}

RAIND_LEAF int wants_reset(const struct raind_work* w) {
    if (w->ep.flags & RAIND_EP_NO_RESET)
        return 0;
    return w->reason == RAIND_R_POLICY || w->reason == RAIND_R_DEFAULT ||
           w->reason == RAIND_R_CUT || w->reason == RAIND_R_NOT_FIRST;
}

RAIND_LEAF int fits_fast(struct __sk_buff* ctx, const struct raind_work* w) {
    if (!(w->ep.flags & RAIND_EP_FAST) || !w->dst_ep || (w->ct_flags & RAIND_CTF_SLOW) ||
        (w->peer_flags & (RAIND_ADDR_FAST | RAIND_ADDR_LOCAL)) !=
            (RAIND_ADDR_FAST | RAIND_ADDR_LOCAL))
        return 0;
    if (ctx->gso_size)
        return w->ep.mtu == w->peer_mtu;
    return w->len <= (__u32)w->peer_mtu + ETH_HLEN;
}

/* By redirect into the receiver's namespace, or stamped into the host's IP on the bridge. */
RAIND_LEAF int deliver(struct __sk_buff* ctx, struct raind_work* w) {
    __u32 mark;

    if (fits_fast(ctx, w)) {
        if (!mac_equal(w->dmac, w->peer_mac) && bpf_skb_store_bytes(ctx, 0, w->peer_mac, 6, 0))
            return TC_ACT_SHOT;
        bpf_skb_change_type(ctx, 0 /* PACKET_HOST */);
        ep_count(w->dst_ep, 1, 0, w->len);
        return bpf_redirect_peer(w->peer_ifindex, 0);
    }
    if (!w->ep.bridge_ifindex)
        return TC_ACT_SHOT;
    if (!mac_equal(w->dmac, w->ep.gw_mac) && bpf_skb_store_bytes(ctx, 0, w->ep.gw_mac, 6, 0))
        return TC_ACT_SHOT;
    mark = ctx->mark & ~RAIND_STAMP_MASK;
    mark |= is_host(w->dst_id) ? RAIND_STAMP_TO_HOST : RAIND_STAMP_FROM_PORT;
    asm volatile("" : "+r"(mark));
    ctx->mark = mark;
    return bpf_redirect(w->ep.bridge_ifindex, BPF_F_INGRESS);
}

/* A neighbour advertisement for the host is the one IP packet that passes without a flow. */
RAIND_LEAF int pass_on(struct __sk_buff* ctx, struct raind_work* w) {
    __u32 mark = ctx->mark & ~RAIND_STAMP_MASK;

    mark |= RAIND_STAMP_TO_HOST;
    asm volatile("" : "+r"(mark));
    ctx->mark = mark;
    (void)w;
    return NEXT_PROGRAM;
}

SEC("tc")
int raind_from(struct __sk_buff* ctx) {
    __u32 level = work_enter();
    struct raind_work* w;
    int ret = TC_ACT_SHOT;

    if (level >= RAIND_SCRATCH_LEVELS)
        return TC_ACT_SHOT;
    w = work_at(level);
    if (w) {
        work_reset(w, 0);
        w->reason = from_checks(ctx, level, w);
        raind_account(level);
        if (w->act == ACT_JUDGED)
            ret = deliver(ctx, w);
        else if (w->act == ACT_PASS)
            ret = pass_on(ctx, w);
        else if (w->act == ACT_ANSWER)
            ret = back_to_sender(ctx, w);
        else if (wants_reset(w) && raind_reset(ctx, level))
            ret = back_to_sender(ctx, w);
    }
    work_leave();
    return ret;
}

SEC("tc")
int raind_to(struct __sk_buff* ctx) {
    __u32 level = work_enter();
    struct raind_work* w;
    int ret = TC_ACT_SHOT;

    if (level >= RAIND_SCRATCH_LEVELS)
        return TC_ACT_SHOT;
    w = work_at(level);
    if (w) {
        work_reset(w, 1);
        w->reason = to_checks(ctx, level, w);
        raind_account(level);
        if (w->act != ACT_DROP)
            ret = NEXT_PROGRAM;
    }
    work_leave();
    return ret;
}
