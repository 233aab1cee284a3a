/* Who is on the other side of a packet: by address, after the port has been checked. */
#pragma once

#include "lib/parse.h"

/* Never permitted by any rule, whatever the maps say: a pool map that nobody filled must not turn
 * multicast or loopback into "outside". */
RAIND_LEAF int special4(const struct raind_ip* ip) {
    __u8 first = ip->b[12];

    return first == 0 || first == 127 || first >= 224;
}

RAIND_LEAF int special6(const struct raind_ip* ip) {
    __u32 w0 = ip_word(ip, 0), w1 = ip_word(ip, 1), w2 = ip_word(ip, 2);

    if (ip->b[0] == 0xff || (ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80))
        return 1;
    if (!w0 && !w1 && (!w2 || w2 == bpf_htonl(0xffff)))
        return 1; /* ::/96 and ::ffff:0:0/96 */
    return w0 == bpf_htonl(0x0064ff9b) && !w1 && !w2;
}

/* The container behind a port of the host; its own entry of the address first. */
RAIND_LEAF struct raind_pubval* published(const struct raind_work* w, const struct raind_ip* ip,
                                          __u16 port) {
    struct raind_pubkey key = {};
    struct raind_pubval* behind;

    if (w->proto != PROTO_TCP && w->proto != PROTO_UDP)
        return 0;
    ip_copy(&key.addr, ip);
    key.port = port;
    key.proto = w->proto;
    behind = bpf_map_lookup_elem(&raind_publish, &key);
    if (behind)
        return behind;
    if (w->family == 4)
        ip_from4(&key.addr, 0);
    else
        ip_clear(&key.addr);
    return bpf_map_lookup_elem(&raind_publish, &key);
}

/* A packet to the host's port of a container is judged as one to that container. */
RAIND_LEAF int behind_port(struct raind_work* w, __u32* id, __u32* ep) {
    struct raind_pubval* behind = published(w, &w->dst, w->dport);

    if (!behind)
        return 0;
    if (!behind->ep_id || behind->identity < RAIND_ID_WORKLOAD_FIRST)
        return RAIND_R_NO_IDENTITY;
    *id = behind->identity;
    *ep = behind->ep_id;
    w->pport = behind->port;
    w->publish = 1;
    return 0;
}

/* The peer (destination of raind_from, source of raind_to): identity, or 0 with the reason. */
RAIND_STAGE int raind_peer(__u32 level) {
    struct raind_work* w = work_at(level);
    struct raind_ip* ip;
    struct raind_addrval* av;
    __u32 *cls, id = RAIND_ID_WORLD, ep = 0;

    if (!w)
        return RAIND_R_MEMORY;
    ip = w->inbound ? &w->src : &w->dst;
    w->peer_flags = 0;
    if (w->family == 4 ? special4(ip) : special6(ip))
        return RAIND_R_SPECIAL;
    av = bpf_map_lookup_elem(&raind_addr, ip);
    if (av) {
        w->peer_flags = av->flags;
        if (av->flags & RAIND_ADDR_QUARANTINE)
            return RAIND_R_QUARANTINE;
        if (av->flags & RAIND_ADDR_LOCAL) {
            id = av->identity;
            ep = av->ep_id;
            w->peer_ifindex = av->ifindex;
            w->peer_mtu = av->mtu;
            mac_copy(w->peer_mac, av->mac);
            if (!ep || id < RAIND_ID_WORKLOAD_FIRST)
                return RAIND_R_NO_IDENTITY;
        } else if (av->flags & RAIND_ADDR_GATEWAY) {
            id = RAIND_ID_GATEWAY;
        } else if (av->flags & RAIND_ADDR_DNS) {
            id = RAIND_ID_DNS;
        } else if (av->flags & RAIND_ADDR_HOST) {
            id = RAIND_ID_HOST;
        } else {
            return RAIND_R_NO_IDENTITY;
        }
    } else {
        __builtin_memset(&w->prefix, 0, sizeof(w->prefix));
        w->prefix.prefixlen = 8 + 128;
        w->prefix.family = w->family;
        for (int i = 0; i < 16; i++)
            w->prefix.addr[i] = ip->b[i];
        cls = bpf_map_lookup_elem(&raind_pool, &w->prefix);
        if (cls)
            return RAIND_R_SPECIAL;
    }
    if (!w->inbound && (id == RAIND_ID_HOST || id == RAIND_ID_GATEWAY)) {
        int reason = behind_port(w, &id, &ep);

        if (reason)
            return reason;
    }
    if (w->inbound) {
        w->src_id = id;
        w->src_ep = ep;
    } else {
        w->dst_id = id;
        w->dst_ep = ep;
    }
    return 0;
}
