/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The fast path of plain packets: Ethernet, IPv4 without options or IPv6 without extension headers,
 * no fragment, TCP or UDP, without any of the rare properties. Two bounds checks cover all their
 * headers, and their record stays in registers. Everything else takes the full parser (link.h). For
 * a plain packet both count the same.
 */
#ifndef PKTEXP_FASTPATH_H
#define PKTEXP_FASTPATH_H

/* In the first two bytes of an IP header, as they lie in memory. */
enum {
	VERSION_AND_LENGTH = 0x00ff,
	IPV4_WITHOUT_OPTIONS = 0x0045,
	IPV4_ECN = 0x0300, /* congestion experienced, if both are set (RFC 3168, 5) */
	VERSION = 0x00f0,
	VERSION_6 = 0x0060,
	IPV6_ECN = 0x3000,
};

/* Bytes up to the ports. */
enum {
	PLAIN_IPV4 = ETH_HLEN + sizeof(struct iphdr) + sizeof(__u32),
	PLAIN_IPV6 = ETH_HLEN + sizeof(struct ipv6hdr) + sizeof(__u32),
};

#define TCP_TO_FLAGS 14 /* bytes of TCP's header up to its flags */

/* Whether UDP to this port is a tunnel that is decapsulated. */
static __always_inline bool is_tunnel(__be16 port)
{
	return config.decap && tunnel_over_udp(bpf_ntohs(port)) != NO_TUNNEL;
}

/* Sets ports, class and TCP flags; `version` is the first class of the IP version. */
static __always_inline bool parse_plain_transport(void *pos, void *end, __u8 protocol, __u8 version,
						  struct flow_record *flow)
{
	flow->ports = *(__u32 *)pos;
	if (protocol == IPPROTO_TCP) {
		if (pos + TCP_TO_FLAGS > end)
			return false;
		flow->packet_class = version + IP_CLASS_TCP;
		flow->tcp_flags = ((__u8 *)pos)[TCP_TO_FLAGS - 1];
		return true;
	}
	flow->packet_class = version + IP_CLASS_UDP;
	return protocol == IPPROTO_UDP && !is_tunnel(flow->ports >> 16);
}

/* The ethertype of a frame of at least `size` bytes to one station; else 0. */
static __always_inline __be16 plain_ethertype(void *start, void *end, __u32 size)
{
	if (start + size > end || *(__u8 *)start & 1)
		return 0;
	return *(__be16 *)(start + 2 * ETH_ALEN);
}

/*
 * Both parsers fill the key and TCP flags of a zeroed *flow, except for the interface, and set
 * *told to the length of the frame by its IP header. False if the packet is not plain.
 */
static __always_inline bool parse_plain_ipv4(void *start, void *end, struct flow_record *flow,
					     __u32 *told)
{
	struct iphdr *ip = start + ETH_HLEN;
	__u16 first;

	if (plain_ethertype(start, end, PLAIN_IPV4) != bpf_htons(ETH_P_IP))
		return false;
	first = *(__u16 *)ip;
	if ((first & VERSION_AND_LENGTH) != IPV4_WITHOUT_OPTIONS || (first & IPV4_ECN) == IPV4_ECN)
		return false;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT))
		return false;
	flow->saddr[0] = ip->saddr;
	flow->daddr[0] = ip->daddr;
	*told = ETH_HLEN + bpf_ntohs(ip->tot_len);
	return parse_plain_transport(ip + 1, end, ip->protocol, CLASS_IPV4, flow);
}

static __always_inline bool parse_plain_ipv6(void *start, void *end, struct flow_record *flow,
					     __u32 *told)
{
	struct ipv6hdr *ip = start + ETH_HLEN;
	__u16 first;

	if (plain_ethertype(start, end, PLAIN_IPV6) != bpf_htons(ETH_P_IPV6))
		return false;
	first = *(__u16 *)ip;
	if ((first & VERSION) != VERSION_6 || (first & IPV6_ECN) == IPV6_ECN)
		return false;
	copy_address(flow->saddr, &ip->saddr);
	copy_address(flow->daddr, &ip->daddr);
	*told = ETH_HLEN + sizeof(*ip) + bpf_ntohs(ip->payload_len);
	return parse_plain_transport(ip + 1, end, ip->nexthdr, CLASS_IPV6, flow);
}

/* Counts one plain packet; no other CPU adds to these counters. */
static __always_inline void count_plain(struct interface_counters *to,
					const struct flow_record *flow)
{
	__u32 group = is_tcp(flow) ? SIZES(TCP) : SIZES(UDP);

	add_tally(&to->classes[flow->packet_class], 1, flow->bytes, false);
	add(&to->sizes[group + size_bucket(flow->bytes)], 1, false);
	if (is_tcp(flow))
		count_combination(to, flow->tcp_flags, 1, false);
}

#endif
