/* Every map of the datapath. All are pinned by name under one directory; layouts are in
 * include/raind/abi/maps.h. Sizes are defaults: the loader may set others before load. */
#pragma once

#include "raind/abi/maps.h"

#include "lib/bpf.h"
#include "lib/work.h"

/* Endpoint by interface index of the host side. Written by the daemon at start and removal; read
 * once per packet. No room: the container does not start. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, RAIND_MAX_EP);
    __type(key, __u32);
    __type(value, struct raind_endpoint);
} raind_ep SEC(".maps");

/* Who has an address: endpoints, host, gateways. Written by the daemon (netlink). Missing: pool,
 * then world. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, RAIND_MAX_ADDR);
    __type(key, struct raind_ip);
    __type(value, struct raind_addrval);
} raind_addr SEC(".maps");

/* Prefixes that no rule can open (SPECIAL, POOL). Written by the daemon with every network. */
struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, RAIND_MAX_POOL);
    __type(key, struct raind_prefix);
    __type(value, __u32);
} raind_pool SEC(".maps");

/* Published ports: who is behind a port of the host, for containers that send to it and for the
 * answers they get. Written by the daemon with every container that has some. No room: the
 * container does not start. Missing: the port is the host's, and closed. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, RAIND_MAX_PUBLISH);
    __type(key, struct raind_pubkey);
    __type(value, struct raind_pubval);
} raind_publish SEC(".maps");

/* The word that a commit flips: generation and slot. Mapped by the daemon, one 8-byte store. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} raind_active SEC(".maps");

/* Description of what each slot holds. Written by the daemon, the idle slot's only. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, RAIND_SLOTS);
    __type(key, __u32);
    __type(value, struct raind_gen);
} raind_gen SEC(".maps");

/* Rules of a slot, one entry a rule. Written by the daemon while the slot is idle. */
struct raind_policy_map {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
    __uint(max_entries, RAIND_MAX_POLICY);
    __type(key, struct raind_polkey);
    __type(value, struct raind_polval);
} policy_0 SEC(".maps"), policy_1 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, RAIND_SLOTS);
    __type(key, __u32);
    __array(values, struct raind_policy_map);
} raind_policy SEC(".maps") = {.values = {&policy_0, &policy_1}};

/* Prefix classes of a slot: the value of a prefix carries those of all that enclose it. */
struct raind_cidr_map {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
    __uint(max_entries, RAIND_MAX_CIDR);
    __type(key, struct raind_prefix);
    __type(value, struct raind_chain);
} cidr_0 SEC(".maps"), cidr_1 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, RAIND_SLOTS);
    __type(key, __u32);
    __array(values, struct raind_cidr_map);
} raind_cidr SEC(".maps") = {.values = {&cidr_0, &cidr_1}};

/* Classes of a workload in a slot. Missing: denied. */
struct raind_ident_map {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
    __uint(max_entries, RAIND_MAX_IDENT);
    __type(key, __u32);
    __type(value, struct raind_identval);
} ident_0 SEC(".maps"), ident_1 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, RAIND_SLOTS);
    __type(key, __u32);
    __array(values, struct raind_ident_map);
} raind_ident SEC(".maps") = {.values = {&ident_0, &ident_1}};

/* Flows, one entry for both directions. Written by the programs. Preallocated: full means that a
 * new flow is denied, never that another is evicted. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, RAIND_MAX_CT);
    __type(key, struct raind_ctkey);
    __type(value, struct raind_ctval);
} raind_ct SEC(".maps");

/* Shares of an endpoint (flows, records), by ep_id. Made by the daemon; missing: no new flow. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, RAIND_MAX_EP);
    __type(key, __u32);
    __type(value, struct raind_quota);
} raind_quota SEC(".maps");

/* Traffic of an endpoint, by ep_id. Made by the daemon; missing: not counted, said in raind_lost.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, RAIND_MAX_EP);
    __type(key, __u32);
    __type(value, struct raind_epstat);
} raind_epstat SEC(".maps");

/* Use of a rule. Full: the hit is counted in raind_lost, the verdict stands. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, RAIND_MAX_RULEHIT);
    __type(key, __u32);
    __type(value, struct raind_rulehit);
} raind_rulehit SEC(".maps");

/* Denials of one key are recorded once a second. An endpoint has a share of the entries; what does
 * not fit is counted as lost for it. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, RAIND_MAX_DENYAGG);
    __type(key, struct raind_denykey);
    __type(value, struct raind_denyval);
} raind_denyagg SEC(".maps");

/* Records of flows, and of denials: two rings, so that denials cannot push out flows. */
struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, RAIND_RING_FLOW);
} raind_ev_flow SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, RAIND_RING_DENY);
} raind_ev_deny SEC(".maps");

/* What could not be recorded, by RAIND_LOST_*. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, RAIND_MAX_LOST);
    __type(key, __u32);
    __type(value, __u64);
} raind_lost SEC(".maps");

/* Sign of life of the daemon. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct raind_beat);
} raind_beat SEC(".maps");

/* Number of flow entries, for the share of an endpoint in what is free. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct raind_total);
} raind_total SEC(".maps");

/* Packets by reason; passed ones from RAIND_STAT_PASSED on. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, RAIND_MAX_STAT);
    __type(key, __u32);
    __type(value, struct raind_counter);
} raind_stat SEC(".maps");

/* Work area of a running program, by nesting level, and the level of this CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, RAIND_SCRATCH_LEVELS);
    __type(key, __u32);
    __type(value, struct raind_work);
} raind_scratch SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} raind_nest SEC(".maps");

/* Names for people who dump maps; written by the daemon, read by no program. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, RAIND_MAX_RULENAME);
    __type(key, __u32);
    __type(value, struct raind_rulename);
} raind_rulename SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, RAIND_MAX_IDENT);
    __type(key, __u32);
    __type(value, struct raind_idname);
} raind_idname SEC(".maps");
