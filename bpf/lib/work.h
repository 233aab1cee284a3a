/* The work area: everything that the stages of one packet share. It lives in a per-CPU map because
 * 512 bytes of stack would not hold it; stages get its level number and look it up again, since
 * kernel 6.1 takes no pointer arguments of global functions as map keys. */
#pragma once

#include "raind/abi/ctl.h"
#include "raind/abi/maps.h"

/* What the stages decided to do with the packet. */
enum raind_act {
    ACT_DROP = 0,
    ACT_PASS = 1,   /* on to the next program */
    ACT_ANSWER = 2, /* rewritten: back to the container it came from */
    ACT_JUDGED = 3, /* permitted IP: deliver */
};

enum raind_icmp_kind {
    ICMP_NONE = 0,
    ICMP_REQUEST = 1,
    ICMP_REPLY = 2,
    ICMP_ERR = 3,
    ICMP_OTHER = 4,
    ICMP_ND = 5,
    ICMP_MLD = 6,
};

/* One question to the policy: always in the direction of the flow's opener. */
struct raind_question {
    struct raind_ip src;
    struct raind_ip dst;
    __u32 src_id;
    __u32 dst_id;
    __u32 ep_flags; /* of the port where the flow was opened */
    __u16 port;     /* as in raind_polkey */
    __u8 proto;
    __u8 family;
    __u8 published; /* stamp PUBLISHED */
    /* answer */
    __u8 verdict; /* RAIND_V_* */
    __u8 reason;
    __u8 best_action;
    __u32 best; /* precedence + 1 of the best match; 0 = none */
    __u32 rule;
    __u32 match_class;
    __u32 probes;
    __u32 max_probes;
    __u32 over; /* more probes needed than permitted */
};

struct raind_work {
    __u64 now;
    __u64 active; /* raind_active, read once per packet */
    struct raind_endpoint ep;
    struct raind_ip src;
    struct raind_ip dst;
    /* packet */
    __u32 len;
    __u32 l4;  /* offset of the transport header */
    __u32 end; /* end of the IP packet */
    __u32 ifindex;
    __u32 mark;
    __u32 tcp_seq;
    __u32 tcp_ack;
    __u32 payload; /* TCP data bytes */
    __u16 ethertype;
    __u16 sport; /* of the flow key */
    __u16 dport;
    __u16 pport; /* of the policy key */
    __u8 family;
    __u8 proto;
    __u8 icmp_type;
    __u8 icmp_code;
    __u8 icmp_kind;
    __u8 tcp_flags;
    __u8 hop;
    __u8 inbound; /* raind_to */
    __u8 publish; /* sent to a published port of the host: dst_id, dst_ep, pport are those behind it
                   */
    __u8 hairpin; /* answer of such a flow on its way back: the source is the host's address */
    __u8 smac[6];
    __u8 dmac[6];
    /* parties */
    __u32 src_id;
    __u32 dst_id;
    __u32 src_ep;
    __u32 dst_ep;
    __u32 peer_flags;   /* RAIND_ADDR_* of the other side */
    __u32 peer_ifindex; /* LOCAL */
    __u16 peer_mtu;
    __u8 peer_mac[6];
    /* decision */
    __u8 act;
    __u8 reason;
    __u8 verdict;
    __u8 silent; /* drop without a record */
    __u8 flip;   /* the packet's source is key.b */
    __u8 ct_flags;
    __u8 ended; /* RAIND_END_* of the entry being deleted */
    __u32 rule;
    __u32 match_class;
    __u64 flow_id;
    struct raind_ctkey key;
    struct raind_ctval val;
    struct raind_question q;
    struct raind_chain chain[2];
    struct raind_denykey dkey;
    struct raind_denyval dval;
    struct raind_prefix prefix;
    struct raind_sweep_args sweep; /* of a running sweep */
    /* packets that are written */
    __u8 eth[16];
    __u8 l3[40];
    __u8 tp[32];
};
RAIND_ABI_ASSERT(sizeof(struct raind_work) <= 1024);
