/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The structs and numbers that the BPF programs and user space share. src/pktexp/packet/ mirrors
 * this file and is compared with the object's BTF, so that a change here which is missing there is
 * an error at start that names it.
 *
 * Fields have a fixed width and padding is explicit; no kernel headers are needed. Integers are in
 * host byte order, addresses and ports in network byte order.
 */
#ifndef PKTEXP_PACKET_H
#define PKTEXP_PACKET_H

/* The protocol with which frames on an interface begin. */
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
 * Protocol classes. One flat index is both the place of a counter in interface_counters and a part
 * of the flow key: non-IP classes first, then CLASS_IPV4 + ip_class, then CLASS_IPV6 + ip_class.
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

/* Upper bounds of the size buckets, in bytes; the last bucket counts all larger packets. */
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

/* Reasons why parsing stopped early; the packet is counted by the headers before. */
enum unparsed {
	UNPARSED_NOTHING = 0, /* parsed completely */
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
 * Common combinations of TCP flags (RFC 9293, 3.1; RFC 3168), which have a counter each. In other
 * combinations each flag is counted by itself.
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

/* Types of ICMP messages (IANA); those of ICMPv6 begin at ICMPV6_TYPE_OTHER. */
enum icmp_type {
	ICMP_TYPE_NONE = 0, /* not an ICMP message */
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

/* Rare properties of packets; a packet can have several. */
enum trait {
	TRAIT_GROUP = 0, /* broadcast or multicast, by the first byte of the destination */
	TRAIT_BROADCAST = 1,
	TRAIT_FRAGMENT = 2,
	TRAIT_ECN_MARKED = 3, /* congestion experienced (RFC 3168, 5) */
	TRAIT_COUNT = 4,
};

/* Tunnels: packets that encapsulate others. */
enum tunnel {
	TUNNEL_VXLAN = 0,
	TUNNEL_GENEVE = 1,
	TUNNEL_GTPU = 2,
	TUNNEL_GRE = 3,
	TUNNEL_IPIP = 4,       /* IPv4 in IPv4 */
	TUNNEL_SIXIN4 = 5,     /* IPv6 in IPv4 */
	TUNNEL_IP_IN_IPV6 = 6, /* IPv4 or IPv6 in IPv6 */
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
	INTERFACE_NAME = 16, /* IFNAMSIZ, include/uapi/linux/if.h */
	CHUNK_SLOTS = 8,
	FLOW_WAYS = 4,
	HASH_SEEDS = 6,
	ARP_WITHOUT_ADDRESSES = 1,
};

/* Set by user space before loading; the verifier treats them as constants. */
struct config {
	__u32 counter_rows; /* rows of counters: one for each CPU, and a shared one */
	__u32 slots;	    /* slots of counters, and buckets in the table; a power of two */
	__u32 rings;	    /* ring buffers; each serves a share of the CPUs */
	__u32 wakeup_bytes; /* unread bytes in a ring at which its reader is woken */
	__u32 flow_sets;    /* sets of the flow cache, per CPU and half; 0: a record per packet */
	__u32 decap;	    /* tunnels to decapsulate: a bit each, by enum tunnel */
	__u16 ephemeral[2]; /* first and last port that the kernel assigns to clients */
	__u8 events;	    /* send flow records to user space */
	__u8 ports;	    /* distinguish flows by ports */
	__u8 services;	    /* keep only the port of the serving side */
	__u8 read_kernel;   /* the kernel lets programs read its memory (not under lockdown) */
	__u8 wire_lengths;  /* a frame has its length on the wire before it, as metadata: __u32 */
	__u8 _pad[7];
	__u64 hash_seed[HASH_SEEDS]; /* random, so that no sender can aim flows at one set */
	__u64 hash_multiplier;	     /* random and odd */
};

/*
 * An entry of the interface table. `id` names one lease of a slot of counters: its low bits are the
 * slot, the others count the slot's leases. An ifindex of 0 marks a free entry.
 */
struct interface_entry {
	__u32 ifindex;
	__u32 id;
	__u32 link_type; /* enum link_type */
};

struct interface_bucket {
	struct interface_entry ways[INTERFACE_WAYS];
};

/* The interface that a slot is leased to. The name is filled up with zeros. */
struct lease {
	char name[INTERFACE_NAME];
	__u32 id; /* interface_entry.id */
	__u32 _pad;
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
	struct tally lost; /* packets missing from flows because a ring was full */
	__u64 marks;	   /* changes if the counters change (count.h) */
};

/*
 * Packets of one flow, as sent to user space: the key comes first, then the sums. Addresses and
 * ports are in network byte order; an IPv4 address is in the first four bytes. Packets without
 * addresses have the class CLASS_LINK + LINK_CLASS_OTHER if they are counted as IP. ARP stays ARP;
 * saddr[1] is then ARP_WITHOUT_ADDRESSES.
 */
struct flow_record {
	__u64 saddr[2];
	__u64 daddr[2];
	__u32 interface;   /* interface_entry.id */
	__u32 ports;	   /* source, dest: two bytes each; 0 if not in the key */
	__u8 packet_class; /* enum packet_class */
	__u8 direction;	   /* enum direction */
	__u8 tcp_flags;	   /* of all packets, ORed (RFC 9293, 3.1) */
	__u8 _pad;
	__u32 packets; /* 0: a free place in the flow cache */
	__u64 bytes;
};

/* A place in the flow cache, of the size of a cache line. */
struct flow_slot {
	struct flow_record flow;
	__u64 _pad;
};

/* The places in which a flow can be cached. */
struct flow_set {
	struct flow_slot ways[FLOW_WAYS];
};

/* Packets of a CPU that were added to no flow in the cache. */
struct cache_misses {
	__u64 packets;
	__u64 _pad[7]; /* a cache line each, so that CPUs do not share one */
};

/* A reader sets `armed` and sleeps; the program that wakes it clears it. */
struct ring_wakeup {
	__u32 armed;
	__u32 _pad[15]; /* a cache line each, so that readers do not share one */
};

#endif
