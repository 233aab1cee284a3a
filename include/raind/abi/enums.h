/* Every number that kernel and user space share, each in one list: X(NAME, value, "name",
 * "meaning"). The names are those of JSON records, metrics and documents; names.h makes functions
 * of them. */
#ifndef RAIND_ABI_ENUMS_H
#define RAIND_ABI_ENUMS_H

#include "raind/abi/base.h"

/* Why a packet got its verdict. Index of raind_stat. Reasons from 8 on are drops. */
#define RAIND_REASONS(X)                                                                \
    X(NONE, 0, "none", "not decided; never reported")                                   \
    X(POLICY, 1, "policy", "a rule of the committed policy")                            \
    X(DEFAULT, 2, "default", "no rule matched: predefined verdict")                     \
    X(ESTABLISHED, 3, "established", "packet of a permitted flow")                      \
    X(ANSWERED, 4, "answered", "ARP or NDP question answered on the port")              \
    X(NEIGHBOUR, 5, "neighbour", "ARP or NDP between host and container")               \
    X(QUIET, 6, "quiet", "probe, announcement or group frame dropped without a record") \
    X(CUT, 7, "cut", "flow ended because a commit took its permission away")            \
    X(NESTED, 8, "nested", "nested deeper than the work areas")                         \
    X(NO_ENDPOINT, 9, "no_endpoint", "interface belongs to no endpoint")                \
    X(QUARANTINE, 10, "quarantine", "sender or receiver is in quarantine")              \
    X(VLAN, 11, "vlan", "VLAN tag")                                                     \
    X(SRC_MAC, 12, "src_mac", "source MAC is not the port's")                           \
    X(ETHERTYPE, 13, "ethertype", "neither ARP nor IP")                                 \
    X(ARP, 14, "arp", "ARP with foreign or malformed content")                          \
    X(IP_HEADER, 15, "ip_header", "malformed IP header or length")                      \
    X(IP_OPTIONS, 16, "ip_options", "IPv4 options")                                     \
    X(EXT_HEADER, 17, "ext_header", "IPv6 extension header not permitted or too many")  \
    X(FRAGMENT, 18, "fragment", "fragment")                                             \
    X(SHORT, 19, "short", "transport header incomplete")                                \
    X(TCP_FLAGS, 20, "tcp_flags", "impossible TCP flags")                               \
    X(SRC_IP, 21, "src_ip", "source address is not the port's")                         \
    X(NDP, 22, "ndp", "neighbour discovery with foreign or forbidden content")          \
    X(SPECIAL, 23, "special", "multicast, broadcast, loopback or unused pool address")  \
    X(DHCP, 24, "dhcp", "DHCP question")                                                \
    X(ICMP_ERROR, 25, "icmp_error", "ICMP error that belongs to no flow")               \
    X(NOT_FIRST, 26, "not_first", "no flow, and not a proper first packet")             \
    X(CT_LIMIT, 27, "ct_limit", "endpoint has its share of flows")                      \
    X(CT_FULL, 28, "ct_full", "flow table full")                                        \
    X(NOT_MINE, 29, "not_mine", "frame not addressed to this endpoint")                 \
    X(UNSTAMPED, 30, "unstamped", "container address from outside its port")            \
    X(SPOOF, 31, "spoof", "host address on a packet that the host did not make")        \
    X(NO_GENERATION, 32, "no_generation", "no committed policy")                        \
    X(NO_IDENTITY, 33, "no_identity", "identity unknown or without a chain")            \
    X(PROBES, 34, "probes", "verdict needs more look-ups than permitted")               \
    X(MEMORY, 35, "memory", "packet data or work area not accessible")

/* raind_stat: packets dropped are at their reason, packets passed at this + reason. */
#define RAIND_STAT_PASSED 64

/* Kind of an event record. */
#define RAIND_EVENTS(X)                                      \
    X(NEW, 1, "new", "first packet of a permitted flow")     \
    X(DENY, 2, "deny", "packet dropped")                     \
    X(END, 3, "end", "flow entry deleted")                   \
    X(CUT, 4, "cut", "flow ended by a commit")               \
    X(AUDIT, 5, "audit", "policy would deny, packet passed") \
    X(LOST, 6, "lost", "records that could not be made")     \
    X(STATE, 7, "state", "change of the datapath's state")

#define RAIND_VERDICTS(X)             \
    X(NONE, 0, "none", "no verdict")  \
    X(ALLOW, 1, "allow", "permitted") \
    X(DENY, 2, "deny", "dropped")     \
    X(AUDIT, 3, "audit", "passed under audit")

/* Why a flow entry ended. */
#define RAIND_ENDS(X)                                                     \
    X(NONE, 0, "none", "not ended")                                       \
    X(EXPIRED, 1, "expired", "idle")                                      \
    X(FIN, 2, "fin", "closed from both sides")                            \
    X(RST, 3, "rst", "reset")                                             \
    X(REUSED, 4, "tuple_reused", "new flow with the same tuple")          \
    X(ENDPOINT_GONE, 5, "endpoint_gone", "a party of the flow has ended") \
    X(CUT, 6, "cut", "permission taken away")

#define RAIND_MODES(X)                                      \
    X(OBSERVE, 1, "observe", "no rule: allow north-south")  \
    X(AUDIT, 2, "audit", "no rule: pass, record as denied") \
    X(ENFORCE, 3, "enforce", "no rule: deny; also what 0 means")

#define RAIND_ACTIONS(X)           \
    X(ALLOW, 1, "allow", "permit") \
    X(DENY, 2, "deny", "drop")

/* Index of raind_lost: what was lost where. */
#define RAIND_LOSTS(X)                                                           \
    X(FLOW_RING, 0, "flow_ring", "flow ring full")                               \
    X(DENY_RING, 1, "deny_ring", "denial ring full")                             \
    X(TOKENS, 2, "tokens", "endpoint over its record rate")                      \
    X(DENY_SHARE, 3, "deny_share", "no aggregation entry left for the endpoint") \
    X(RULEHIT, 4, "rulehit", "rule counter not made")                            \
    X(READER, 5, "reader", "reader's queue full")                                \
    X(EPSTAT, 6, "epstat", "endpoint counter missing")

/* raind_lost beyond the kinds: for the two rings, how much was said in LOST records and when. */
#define RAIND_LOST_SAID 8  /* + FLOW_RING or DENY_RING */
#define RAIND_LOST_TIME 10 /* + FLOW_RING or DENY_RING; CLOCK_BOOTTIME ns */

#define RAIND_FLOW_STATES(X)                           \
    X(NEW, 1, "new", "first packet seen")              \
    X(REPLIED, 2, "replied", "other side answered")    \
    X(EST, 3, "established", "TCP handshake complete") \
    X(FIN1, 4, "fin1", "one side closed")              \
    X(CLOSED, 5, "closed", "both closed, or reset")

/* Rules that nobody wrote (source "predefined"). User rules start at RAIND_RULE_USER. */
#define RAIND_RESERVED_RULES(X)                                           \
    X(EW_DEFAULT, 1, "ew_default", "east-west without a rule: deny")      \
    X(NS_OBSERVE, 2, "ns_observe", "north-south in observe mode: allow")  \
    X(NS_ENFORCE, 3, "ns_enforce", "north-south in enforce mode: deny")   \
    X(DNS, 4, "dns", "DNS questions")                                     \
    X(PUBLISHED, 5, "published", "published port")                        \
    X(HOST_TO_CTR, 6, "host_to_container", "from the host itself: allow") \
    X(GW_ECHO, 7, "gateway_echo", "echo to the gateway: allow")           \
    X(CTR_TO_HOST, 8, "container_to_host", "to the host: deny")
#define RAIND_RULE_USER 256u

/* Identities that are not workloads. */
#define RAIND_RESERVED_IDS(X)                                                        \
    X(UNKNOWN, 0, "unknown", "always denied")                                        \
    X(HOST, 1, "host", "addresses of this host")                                     \
    X(WORLD, 2, "world", "outside")                                                  \
    X(GATEWAY, 3, "gateway", "bridge addresses")                                     \
    X(DNS, 4, "dns", "DNS proxy")                                                    \
    X(CONTAINERS, 5, "containers", "class of every container")                       \
    X(SPECIAL, 6, "special", "multicast, broadcast, loopback, ...: never permitted") \
    X(POOL, 7, "pool", "own subnets without an endpoint: never permitted")           \
    X(ANY, 8, "any", "last class of most chains")

#define RAIND_ID_WORKLOAD_FIRST 256u
#define RAIND_ID_WORKLOAD_LAST 0x00ffffffu
#define RAIND_ID_SELECTOR 0x01000000u
#define RAIND_ID_CIDR 0x02000000u
#define RAIND_ID_FQDN 0x03000000u
#define RAIND_ID_TYPE_MASK 0xff000000u

#define RAIND_ENUM_VALUE_R(name, value, text, meaning) RAIND_R_##name = value,
#define RAIND_ENUM_VALUE_EV(name, value, text, meaning) RAIND_EV_##name = value,
#define RAIND_ENUM_VALUE_V(name, value, text, meaning) RAIND_V_##name = value,
#define RAIND_ENUM_VALUE_END(name, value, text, meaning) RAIND_END_##name = value,
#define RAIND_ENUM_VALUE_MODE(name, value, text, meaning) RAIND_MODE_##name = value,
#define RAIND_ENUM_VALUE_ACT(name, value, text, meaning) RAIND_ACT_##name = value,
#define RAIND_ENUM_VALUE_LOST(name, value, text, meaning) RAIND_LOST_##name = value,
#define RAIND_ENUM_VALUE_CT(name, value, text, meaning) RAIND_CT_##name = value,
#define RAIND_ENUM_VALUE_RULE(name, value, text, meaning) RAIND_RULE_##name = value,
#define RAIND_ENUM_VALUE_ID(name, value, text, meaning) RAIND_ID_##name = value,

enum raind_reason { RAIND_REASONS(RAIND_ENUM_VALUE_R) };
enum raind_event_type { RAIND_EVENTS(RAIND_ENUM_VALUE_EV) };
enum raind_verdict { RAIND_VERDICTS(RAIND_ENUM_VALUE_V) };
enum raind_end { RAIND_ENDS(RAIND_ENUM_VALUE_END) };
enum raind_mode { RAIND_MODES(RAIND_ENUM_VALUE_MODE) };
enum raind_action { RAIND_ACTIONS(RAIND_ENUM_VALUE_ACT) };
enum raind_lost_kind { RAIND_LOSTS(RAIND_ENUM_VALUE_LOST) };
enum raind_flow_state { RAIND_FLOW_STATES(RAIND_ENUM_VALUE_CT) };
enum raind_rule { RAIND_RESERVED_RULES(RAIND_ENUM_VALUE_RULE) };
enum raind_id { RAIND_RESERVED_IDS(RAIND_ENUM_VALUE_ID) };

/* Flags of raind_endpoint. */
#define RAIND_EP_FAST (1u << 0)       /* may be delivered to by redirect */
#define RAIND_EP_QUARANTINE (1u << 1) /* drop everything */
#define RAIND_EP_AUDIT (1u << 2)      /* denials are recorded, packets pass */
#define RAIND_EP_NS_OBSERVE (1u << 3) /* overrides default_ns */
#define RAIND_EP_NS_ENFORCE (1u << 4) /* overrides default_ns */
#define RAIND_EP_DNS_ONLY (1u << 5)
#define RAIND_EP_NO_RESET (1u << 6) /* denied TCP is dropped, not reset */
#define RAIND_EP_POD (1u << 7)

/* Flags of raind_addrval. */
#define RAIND_ADDR_LOCAL (1u << 0)   /* endpoint of this host */
#define RAIND_ADDR_HOST (1u << 1)    /* address of the host */
#define RAIND_ADDR_GATEWAY (1u << 2) /* address of one of our bridges */
#define RAIND_ADDR_DNS (1u << 3)
#define RAIND_ADDR_FAST (1u << 4)
#define RAIND_ADDR_QUARANTINE (1u << 5) /* also read by senders; clears FAST */
#define RAIND_ADDR_REMOTE (1u << 6)     /* reserved: endpoint of another host */

/* Flags of raind_polval. */
#define RAIND_POL_PUBLISHED (1u << 0) /* from outside only with the stamp PUBLISHED */
#define RAIND_POL_LOG (1u << 1)
#define RAIND_POL_SILENT (1u << 2)

/* raind_mask.kinds: kinds of class that occur in keys with this mask, either side. */
#define RAIND_KIND_WORKLOAD (1u << 0)
#define RAIND_KIND_SELECTOR (1u << 1)
#define RAIND_KIND_PREFIX (1u << 2) /* CIDR and FQDN classes */
#define RAIND_KIND_GROUP (1u << 3)  /* CONTAINERS, WORLD */
#define RAIND_KIND_ANY (1u << 4)
#define RAIND_KIND_HOST (1u << 5) /* HOST, GATEWAY, DNS */

/* Flags of raind_ctval. */
#define RAIND_CTF_OPENER_IS_B (1u << 0)
#define RAIND_CTF_SLOW (1u << 1) /* never by redirect */
#define RAIND_CTF_NS (1u << 2)   /* a party is outside */
#define RAIND_CTF_AUDIT (1u << 3)
#define RAIND_CTF_PUBLISHED (1u << 4)
#define RAIND_CTF_HOSTNET (1u << 5)
#define RAIND_CTF_IN (1u << 6)   /* opened towards the container by host or outside: open_in */
#define RAIND_CTF_HOST (1u << 7) /* a party is the host */

/* raind_ctval.tcp_seen. */
#define RAIND_SEEN_FIN (1u << 0)
#define RAIND_SEEN_RST (1u << 1)

/* raind_event.flags. */
#define RAIND_EVF_EAST_WEST (1u << 0)
#define RAIND_EVF_OUT (1u << 1) /* container to outside or host */
#define RAIND_EVF_IN (1u << 2)  /* outside or host to container */
#define RAIND_EVF_HOST (1u << 3)
#define RAIND_EVF_FAST (1u << 4)
#define RAIND_EVF_HOSTNET (1u << 5)
#define RAIND_EVF_AUDIT (1u << 6)
#define RAIND_EVF_PUBLISHED (1u << 7)

/* precedence = (1023 - priority) << 20 | deny << 19 | specificity; the highest wins. */
#define RAIND_PRECEDENCE(priority, deny, specificity) \
    (((1023u - (priority)) << 20) | ((deny) ? 1u << 19 : 0u) | ((specificity) & 0x7ffffu))

/* gen.dns_mode. */
#define RAIND_DNS_OFF 0
#define RAIND_DNS_REDIRECT 1
#define RAIND_DNS_STRICT 2

#endif
