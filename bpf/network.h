/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Parse IPv4, IPv6 with its extension headers, and ARP; then transport.h.
 */
#ifndef PKTEXP_NETWORK_H
#define PKTEXP_NETWORK_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#define IP_FRAGMENT 0x3fff /* the flag "more fragments", or an offset */
#define IP_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define IPV6_MORE_FRAGMENTS 0x0001

/* Protocol numbers (IANA) that older kernel headers for user space lack. */
enum {
	PROTO_HOPOPTS = 0,
	PROTO_IPV6_ROUTING = 43,
	PROTO_IPV6_FRAGMENT = 44,
	PROTO_DSTOPTS = 60,
	PROTO_OSPF = 89,
	PROTO_VRRP = 112,
};

/* RFC 826, for Ethernet and IPv4. */
struct arp_header {
	__be16 htype;
	__be16 ptype;
	__u8 hlen;
	__u8 plen;
	__be16 oper;
	__u8 sha[6];
	__u8 spa[4];
	__u8 tha[6];
	__u8 tpa[4];
};

/* The first bytes of every extension header (RFC 8200, 4.2 to 4.6). */
struct extension_header {
	__u8 next;
	__u8 length; /* reserved in the fragment header, and 0 */
	__be16 fragment_offset;
};

static const __u8 ip_class_of[256] = {
    [IPPROTO_TCP] = IP_CLASS_TCP,   [IPPROTO_UDP] = IP_CLASS_UDP,
    [IPPROTO_ICMP] = IP_CLASS_ICMP, [IPPROTO_ICMPV6] = IP_CLASS_ICMPV6,
    [IPPROTO_SCTP] = IP_CLASS_SCTP, [IPPROTO_IGMP] = IP_CLASS_IGMP,
    [IPPROTO_GRE] = IP_CLASS_GRE,   [IPPROTO_ESP] = IP_CLASS_ESP,
    [IPPROTO_AH] = IP_CLASS_AH,	    [IPPROTO_IPIP] = IP_CLASS_IPIP,
    [IPPROTO_IPV6] = IP_CLASS_IPV6, [PROTO_OSPF] = IP_CLASS_OSPF,
    [IPPROTO_PIM] = IP_CLASS_PIM,   [PROTO_VRRP] = IP_CLASS_VRRP,
    [IPPROTO_DCCP] = IP_CLASS_DCCP,
};

/* 1 if any of `bits`, at most 15 of them, is set, else 0. */
static __always_inline __u32 any(__u32 bits)
{
	return (bits + 0x7fff) >> 15;
}

/* `ecn`: the last two bits of the type of service or of the traffic class. */
static __always_inline void note_ecn(struct packet *p, __u8 ecn)
{
	note(p, TRAIT_ECN_MARKED, ecn & ecn >> 1 & 1);
}

static __always_inline enum unparsed parse_ipv4(struct cursor *c, struct flow_record *flow,
						struct packet *p)
{
	struct iphdr *ip = c->pos;

	flow->packet_class = CLASS_IPV4 + IP_CLASS_OTHER;
	if ((void *)(ip + 1) > c->end)
		return UNPARSED_TRUNCATED_NETWORK | NO_ADDRESSES;
	if (ip->version != 4 || ip->ihl < 5)
		return UNPARSED_BAD_HEADER | NO_ADDRESSES;
	flow->packet_class = CLASS_IPV4 + ip_class_of[ip->protocol];
	flow->saddr[0] = ip->saddr;
	flow->daddr[0] = ip->daddr;
	note_ecn(p, ip->tos);
	note(p, TRAIT_FRAGMENT, any(bpf_ntohs(ip->frag_off) & IP_FRAGMENT));
	p->later = ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET);
	if (p->later)
		return UNPARSED_NOTHING; /* the ports are in the first fragment */
	if (!advance(c, ip->ihl * 4))
		return UNPARSED_TRUNCATED_NETWORK;
	return parse_transport(c, flow, p);
}

/* Bytes of a header. RFC 8200 counts units of 8, less one; AH (RFC 4302) units of 4, less two. */
static __always_inline __u32 extension_size(__u8 protocol, __u8 length)
{
	if (protocol == IPPROTO_AH)
		return (length + 2) * 4;
	return (length + 1) * 8;
}

static __always_inline bool is_extension(__u8 protocol)
{
	return protocol == PROTO_HOPOPTS || protocol == PROTO_IPV6_ROUTING ||
	       protocol == PROTO_IPV6_FRAGMENT || protocol == PROTO_DSTOPTS ||
	       protocol == IPPROTO_AH;
}

static __always_inline void note_fragment(struct packet *p, __be16 offset)
{
	__u32 bits = bpf_ntohs(offset);

	note(p, TRAIT_FRAGMENT, any(bits >> 3 | (bits & IPV6_MORE_FRAGMENTS)));
	p->later = bits & IPV6_FRAGMENT_OFFSET;
}

/*
 * Skips the extension headers, up to the fragment header of a fragment that is not the first. On
 * return *protocol is the upper-layer protocol, or the header at which it stopped.
 */
static __always_inline enum unparsed skip_extensions(struct cursor *c, __u8 *protocol,
						     struct packet *p)
{
	for (int i = 0; i < MAX_EXTENSION_HEADERS; i++) {
		struct extension_header *ext = c->pos;
		__u8 current = *protocol;
		__u8 length;

		if (!is_extension(current))
			return UNPARSED_NOTHING;
		if ((void *)(ext + 1) > c->end)
			return UNPARSED_TRUNCATED_NETWORK;
		length = current == PROTO_IPV6_FRAGMENT ? 0 : ext->length;
		*protocol = ext->next;
		if (current == PROTO_IPV6_FRAGMENT)
			note_fragment(p, ext->fragment_offset);
		if (p->later)
			return UNPARSED_NOTHING;
		if (!advance(c, extension_size(current, length)) || !settle(c))
			return UNPARSED_TRUNCATED_NETWORK;
	}
	return is_extension(*protocol) ? UNPARSED_EXTENSION_DEPTH : UNPARSED_NOTHING;
}

/* Copies whole words: compilers for BPF copy possibly unaligned structs byte by byte. */
static __always_inline void copy_address(__u64 to[2], const struct in6_addr *from)
{
	const __u64 *words = (const void *)from;

	to[0] = words[0];
	to[1] = words[1];
}

static __always_inline enum unparsed parse_ipv6(struct cursor *c, struct flow_record *flow,
						struct packet *p)
{
	struct ipv6hdr *ip = c->pos;
	enum unparsed reason;
	__u8 protocol;

	flow->packet_class = CLASS_IPV6 + IP_CLASS_OTHER;
	if (!advance(c, sizeof(*ip)))
		return UNPARSED_TRUNCATED_NETWORK | NO_ADDRESSES;
	if (ip->version != 6)
		return UNPARSED_BAD_HEADER | NO_ADDRESSES;
	copy_address(flow->saddr, &ip->saddr);
	copy_address(flow->daddr, &ip->daddr);
	note_ecn(p, ip->flow_lbl[0] >> 4);
	protocol = ip->nexthdr;
	if (c->large)
		p->jumbo = !ip->payload_len && protocol == PROTO_HOPOPTS;
	reason = skip_extensions(c, &protocol, p);
	if (reason)
		return reason;
	flow->packet_class = CLASS_IPV6 + ip_class_of[protocol];
	return p->later ? UNPARSED_NOTHING : parse_transport(c, flow, p);
}

static __always_inline enum unparsed parse_arp(struct cursor *c, struct flow_record *flow)
{
	struct arp_header *arp = c->pos;

	flow->packet_class = CLASS_LINK + LINK_CLASS_ARP;
	flow->saddr[1] = ARP_WITHOUT_ADDRESSES;
	if (!advance(c, sizeof(*arp)))
		return UNPARSED_TRUNCATED_NETWORK;
	if (arp->ptype != bpf_htons(ETH_P_IP) || arp->hlen != 6 || arp->plen != 4)
		return UNPARSED_NOTHING; /* not for IPv4 */
	flow->saddr[1] = 0;
	flow->saddr[0] = *(__u32 *)arp->spa;
	flow->daddr[0] = *(__u32 *)arp->tpa;
	return UNPARSED_NOTHING;
}

#endif
