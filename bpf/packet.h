/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * What crosses between the BPF programs and user space: every struct that both sides touch and
 * every number that both sides must agree on. src/pktexp/packet/records.py mirrors this file and
 * is checked against the object's BTF, so a change here that is forgotten there is named at start.
 *
 * Fixed-width fields, explicit padding, no kernel headers. Integers are in host byte order;
 * addresses and ports are bytes as they stand in the packet.
 */
#ifndef PKTEXP_PACKET_H
#define PKTEXP_PACKET_H

/* What the first byte of a frame on an interface is. */
enum link_type {
	LINK_ETHERNET = 0,
	LINK_IP = 1,	 /* tun, wireguard, ipip: the IP header */
	LINK_OPAQUE = 2, /* anything else: counted, not parsed */
};

enum direction {
	DIRECTION_INGRESS = 0,
	DIRECTION_EGRESS = 1,
	DIRECTION_COUNT = 2,
};

/*
 * Protocol classes. One flat index serves as the counter's place in interface_counters and as part
 * of a flow's key: non-IP classes first, then CLASS_IPV4 + an ip_class, then CLASS_IPV6 + one.
 */
enum link_class {
	LINK_CLASS_OTHER = 0,
	LINK_CLASS_ARP = 1,
	LINK_CLASS_LLC = 2, /* IEEE 802.3 length field: spanning tree and the like */
	LINK_CLASS_LLDP = 3,
	LINK_CLASS_MPLS = 4,
	LINK_CLASS_PPPOE = 5,
	LINK_CLASS_EAPOL = 6,
	LINK_CLASS_MACSEC = 7,
};

enum ip_class {
	IP_CLASS_OTHER = 0,
	IP_CLASS_TCP = 1,
	IP_CLASS_UDP = 2,
	IP_CLASS_ICMP = 3,
	IP_CLASS_ICMPV6 = 4,
	IP_CLASS_SCTP = 5,
	IP_CLASS_IGMP = 6,
	IP_CLASS_GRE = 7,
	IP_CLASS_ESP = 8,
	IP_CLASS_AH = 9,
	IP_CLASS_IPIP = 10,
	IP_CLASS_IPV6 = 11, /* IPv6 inside IP: 6in4 and the like */
	IP_CLASS_OSPF = 12,
	IP_CLASS_PIM = 13,
	IP_CLASS_VRRP = 14,
	IP_CLASS_DCCP = 15,
};

enum packet_class {
	CLASS_LINK = 0,
	CLASS_IPV4 = 8,
	CLASS_IPV6 = 24,
	CLASS_COUNT = 40,
};

/* Packet sizes are counted for these groups of classes. */
enum size_group {
	SIZE_GROUP_OTHER = 0,
	SIZE_GROUP_TCP = 1,
	SIZE_GROUP_UDP = 2,
	SIZE_GROUP_ICMP = 3,
	SIZE_GROUP_ICMPV6 = 4,
	SIZE_GROUP_COUNT = 5,
};

/* Upper bounds, in bytes, of the size buckets; the last bucket takes the rest. */
enum size_bound {
	SIZE_BOUND_0 = 64,
	SIZE_BOUND_1 = 128,
	SIZE_BOUND_2 = 256,
	SIZE_BOUND_3 = 512,
	SIZE_BOUND_4 = 1024,
	SIZE_BOUND_5 = 1518,
	SIZE_BOUND_6 = 4096,
	SIZE_BOUND_7 = 9216,
	SIZE_BOUND_8 = 16384,
	SIZE_BOUND_9 = 65535,
};

/* Why a packet could not be parsed to its end; it is counted as far as it could be. */
enum unparsed {
	UNPARSED_NOTHING = 0, /* parsed whole */
	UNPARSED_TRUNCATED_LINK = 1,
	UNPARSED_TRUNCATED_NETWORK = 2,
	UNPARSED_TRUNCATED_TRANSPORT = 3,
	UNPARSED_BAD_HEADER = 4,
	UNPARSED_VLAN_DEPTH = 5,
	UNPARSED_EXTENSION_DEPTH = 6,
	UNPARSED_TRUNCATED_TUNNEL = 7,
	UNPARSED_COUNT = 8,
};

/*
 * Combinations of TCP flags (RFC 9293, 3.1; RFC 3168) that are common, and so are counted as one.
 * Of others each flag is counted by itself.
 */
enum tcp_combination {
	TCP_COMBINATION_0 = 0x10,  /* ACK */
	TCP_COMBINATION_1 = 0x18,  /* PSH ACK */
	TCP_COMBINATION_2 = 0x02,  /* SYN */
	TCP_COMBINATION_3 = 0x12,  /* SYN ACK */
	TCP_COMBINATION_4 = 0x11,  /* FIN ACK */
	TCP_COMBINATION_5 = 0x19,  /* FIN PSH ACK */
	TCP_COMBINATION_6 = 0x04,  /* RST */
	TCP_COMBINATION_7 = 0x14,  /* RST ACK */
	TCP_COMBINATION_8 = 0x50,  /* ACK ECE */
	TCP_COMBINATION_9 = 0x90,  /* ACK CWR */
	TCP_COMBINATION_10 = 0xc2, /* SYN ECE CWR */
	TCP_COMBINATION_11 = 0x52, /* SYN ACK ECE */
};

/* Types of ICMP messages (IANA), those of ICMPv6 from ICMPV6_TYPE_OTHER on. */
enum icmp_type {
	ICMP_TYPE_NONE = 0, /* no such message */
	ICMP_TYPE_OTHER = 1,
	ICMP_TYPE_ECHO_REPLY = 2,
	ICMP_TYPE_UNREACHABLE = 3,
	ICMP_TYPE_SOURCE_QUENCH = 4,
	ICMP_TYPE_REDIRECT = 5,
	ICMP_TYPE_ECHO_REQUEST = 6,
	ICMP_TYPE_ROUTER_ADVERTISEMENT = 7,
	ICMP_TYPE_ROUTER_SOLICITATION = 8,
	ICMP_TYPE_TIME_EXCEEDED = 9,
	ICMP_TYPE_PARAMETER_PROBLEM = 10,
	ICMP_TYPE_TIMESTAMP_REQUEST = 11,
	ICMP_TYPE_TIMESTAMP_REPLY = 12,
	ICMPV6_TYPE_OTHER = 13,
	ICMPV6_TYPE_UNREACHABLE = 14,
	ICMPV6_TYPE_PACKET_TOO_BIG = 15,
	ICMPV6_TYPE_TIME_EXCEEDED = 16,
	ICMPV6_TYPE_PARAMETER_PROBLEM = 17,
	ICMPV6_TYPE_ECHO_REQUEST = 18,
	ICMPV6_TYPE_ECHO_REPLY = 19,
	ICMPV6_TYPE_LISTENER_QUERY = 20,
	ICMPV6_TYPE_LISTENER_REPORT = 21,
	ICMPV6_TYPE_LISTENER_DONE = 22,
	ICMPV6_TYPE_ROUTER_SOLICITATION = 23,
	ICMPV6_TYPE_ROUTER_ADVERTISEMENT = 24,
	ICMPV6_TYPE_NEIGHBOR_SOLICITATION = 25,
	ICMPV6_TYPE_NEIGHBOR_ADVERTISEMENT = 26,
	ICMPV6_TYPE_REDIRECT = 27,
	ICMPV6_TYPE_LISTENER_REPORT_V2 = 28,
	ICMP_TYPE_COUNT = 29,
};

/* What few packets are, beside their class; a packet may be several. */
enum trait {
	TRAIT_GROUP = 0, /* broadcast or multicast, by the destination's first byte */
	TRAIT_BROADCAST = 1,
	TRAIT_FRAGMENT = 2,
	TRAIT_ECN_MARKED = 3, /* congestion experienced (RFC 3168, 5) */
	TRAIT_COUNT = 4,
};

/* Packets that carry others. */
enum tunnel {
	TUNNEL_VXLAN = 0,
	TUNNEL_GENEVE = 1,
	TUNNEL_GTPU = 2,
	TUNNEL_GRE = 3,
	TUNNEL_IPIP = 4,       /* IPv4 in IPv4 */
	TUNNEL_SIXIN4 = 5,     /* IPv6 in IPv4 */
	TUNNEL_IP_IN_IPV6 = 6, /* either in IPv6 */
	TUNNEL_MPLS = 7,
	TUNNEL_PPPOE = 8,
	TUNNEL_COUNT = 9,
};

enum limit {
	SIZE_BUCKETS = 11,
	TCP_FLAGS = 8,
	TCP_COMBINATIONS = 12,
	MAX_TUNNELS = 3,
	MAX_MPLS_LABELS = 8,
	MAX_GTPU_EXTENSIONS = 4,
	MAX_VLAN_TAGS = 4,
	MAX_EXTENSION_HEADERS = 8,
	INTERFACE_WAYS = 4,
	FLOW_WAYS = 4,
	HASH_SEEDS = 6,
};

/* Chosen by user space before loading; constants to the verifier. */
struct config {
	__u32 counter_rows; /* rows in the counters map: one a CPU, the last one shared */
	__u32 slots;	    /* interface slots a row, buckets in the table; a power of two */
	__u32 rings;	    /* ring buffers; CPUs are dealt out over them */
	__u32 wakeup_bytes; /* unread bytes in a ring that are worth waking its reader */
	__u32 flow_sets;    /* of the flow cache, a CPU and half; 0: each packet is an event */
	__u32 decap;	    /* tunnels whose inside tells flows apart: a bit each, by enum tunnel */
	__u16 ephemeral[2]; /* first and last port that the kernel gives to clients */
	__u8 events;	    /* send flow_record records */
	__u8 ports;	    /* ports tell flows apart */
	__u8 services;	    /* ports of the serving side alone do */
	__u8 _pad;
	__u64 hash_seed[HASH_SEEDS]; /* random, so that nobody can aim flows at one set */
	__u64 hash_multiplier;	     /* random and odd */
};

/*
 * Where an interface's packets are counted. `id` names one lease of a slot: its low bits are the
 * slot, the rest counts how often the slot was let. An entry is found by the ifindex whatever its
 * size; 0 is no interface.
 */
struct interface_entry {
	__u32 ifindex;
	__u32 id;
	__u32 link_type; /* enum link_type */
};

struct interface_bucket {
	struct interface_entry ways[INTERFACE_WAYS];
};

struct tally {
	__u64 packets;
	__u64 bytes;
};

struct interface_counters {
	struct tally classes[CLASS_COUNT];
	__u64 sizes[SIZE_GROUP_COUNT * SIZE_BUCKETS];
	__u64 unparsed[UNPARSED_COUNT];
	__u64 tcp_combinations[TCP_COMBINATIONS];
	__u64 tcp_flags[TCP_FLAGS]; /* of packets with other combinations, by bit */
	__u64 icmp_types[ICMP_TYPE_COUNT];
	__u64 traits[TRAIT_COUNT];
	__u64 tunnels[TUNNEL_COUNT];
	struct tally lost; /* events that found no room in their ring */
};

/*
 * Packets of one flow, as they go to user space; all that tells flows apart comes first. Addresses
 * and ports are bytes as they stand in the packet, IPv4 addresses in the first four.
 */
struct flow_record {
	__u64 saddr[2];
	__u64 daddr[2];
	__u32 interface;   /* interface_entry.id */
	__u32 ports;	   /* source, dest: two bytes each; 0 where none tells flows apart */
	__u8 packet_class; /* enum packet_class */
	__u8 direction;	   /* enum direction */
	__u8 tcp_flags;	   /* of all packets, OR-ed (RFC 9293, 3.1) */
	__u8 _pad;
	__u32 packets; /* 0: nothing here */
	__u64 bytes;
};

/* A place in the flow cache: a cache line. */
struct flow_slot {
	struct flow_record flow;
	__u64 _pad;
};

/* The places that a flow can be in. */
struct flow_set {
	struct flow_slot ways[FLOW_WAYS];
};

/* A reader sets `armed` and sleeps; the program that fills its ring far enough clears it. */
struct ring_wakeup {
	__u32 armed;
	__u32 _pad[15]; /* a cache line each, so that rings do not share one */
};

#endif
