/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * From the first byte of a frame to the key of its flow: a cursor moves through the headers, each
 * parser takes what it knows and says why it stopped. Used by packet.bpf.c; fills packet.h's
 * flow_record, whose class is always as exact as the bytes that could be read allow.
 */
#ifndef PKTEXP_PARSE_H
#define PKTEXP_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#define IP_FRAGMENT_OFFSET 0x1fff

/* Not every kernel header for user space has these protocol numbers (IANA). */
enum {
	PROTO_HOPOPTS = 0,
	PROTO_IPV6_ROUTING = 43,
	PROTO_IPV6_FRAGMENT = 44,
	PROTO_DSTOPTS = 60,
	PROTO_OSPF = 89,
	PROTO_VRRP = 112,
};

struct cursor {
	void *pos;
	void *end;
};

struct vlan_header {
	__be16 tci;
	__be16 ethertype;
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

/* RFC 8200, 4.2 to 4.6: what all extension headers begin with. */
struct extension_header {
	__u8 next;
	__u8 length; /* the fragment header has none: reserved, 0 */
	__be16 fragment_offset;
};

/* RFC 9293, 3.1, up to the control bits, without the ports. */
struct tcp_middle {
	__be32 sequence;
	__be32 acknowledgment;
	__u8 data_offset;
	__u8 flags;
} __attribute__((packed));

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

/* Moves the cursor over the next `size` bytes; false, and the cursor unmoved, if they are cut
 * short. */
static __always_inline bool advance(struct cursor *c, __u32 size)
{
	if (c->pos + size > c->end)
		return false;
	c->pos += size;
	return true;
}

static __always_inline enum unparsed parse_tcp_flags(struct cursor *c, struct flow_record *flow)
{
	struct tcp_middle *tcp = c->pos;

	if (!advance(c, sizeof(*tcp)))
		return UNPARSED_TRUNCATED_TRANSPORT;
	flow->tcp_flags = tcp->flags;
	return UNPARSED_NOTHING;
}

static __always_inline enum unparsed parse_ports(struct cursor *c, struct flow_record *flow,
						 __u8 ip_class)
{
	__u32 *ports = c->pos;

	if (ip_class != IP_CLASS_TCP && ip_class != IP_CLASS_UDP && ip_class != IP_CLASS_SCTP)
		return UNPARSED_NOTHING;
	if (!advance(c, sizeof(*ports)))
		return UNPARSED_TRUNCATED_TRANSPORT;
	flow->ports = *ports;
	return ip_class == IP_CLASS_TCP ? parse_tcp_flags(c, flow) : UNPARSED_NOTHING;
}

static __always_inline enum unparsed parse_ipv4(struct cursor *c, struct flow_record *flow)
{
	struct iphdr *ip = c->pos;
	__u8 ip_class;

	flow->packet_class = CLASS_IPV4 + IP_CLASS_OTHER;
	if ((void *)(ip + 1) > c->end)
		return UNPARSED_TRUNCATED_NETWORK;
	if (ip->version != 4 || ip->ihl < 5)
		return UNPARSED_BAD_HEADER;
	ip_class = ip_class_of[ip->protocol];
	flow->packet_class = CLASS_IPV4 + ip_class;
	flow->saddr[0] = ip->saddr;
	flow->daddr[0] = ip->daddr;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET))
		return UNPARSED_NOTHING; /* a later fragment: its ports went with the first */
	if (!advance(c, ip->ihl * 4))
		return UNPARSED_TRUNCATED_NETWORK;
	return parse_ports(c, flow, ip_class);
}

/* In bytes. RFC 8200 counts units of 8 without the first; AH (RFC 4302) units of 4 without two. */
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

/*
 * Walks the extension headers. On return *protocol is the upper-layer protocol as far as it is
 * known, and *later says that this is not the packet's first fragment.
 */
static __always_inline enum unparsed skip_extensions(struct cursor *c, __u8 *protocol, bool *later)
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
		if (current == PROTO_IPV6_FRAGMENT && ext->fragment_offset & bpf_htons(0xfff8)) {
			*later = true;
			return UNPARSED_NOTHING;
		}
		if (!advance(c, extension_size(current, length)))
			return UNPARSED_TRUNCATED_NETWORK;
	}
	return is_extension(*protocol) ? UNPARSED_EXTENSION_DEPTH : UNPARSED_NOTHING;
}

/* In whole words: compilers for BPF copy what may lie unaligned byte by byte. */
static __always_inline void copy_address(__u64 to[2], const struct in6_addr *from)
{
	const __u64 *words = (const void *)from;

	to[0] = words[0];
	to[1] = words[1];
}

static __always_inline enum unparsed parse_ipv6(struct cursor *c, struct flow_record *flow)
{
	struct ipv6hdr *ip = c->pos;
	enum unparsed reason;
	bool later = false;
	__u8 protocol;

	flow->packet_class = CLASS_IPV6 + IP_CLASS_OTHER;
	if (!advance(c, sizeof(*ip)))
		return UNPARSED_TRUNCATED_NETWORK;
	if (ip->version != 6)
		return UNPARSED_BAD_HEADER;
	copy_address(flow->saddr, &ip->saddr);
	copy_address(flow->daddr, &ip->daddr);
	protocol = ip->nexthdr;
	reason = skip_extensions(c, &protocol, &later);
	if (reason)
		return reason;
	flow->packet_class = CLASS_IPV6 + ip_class_of[protocol];
	return later ? UNPARSED_NOTHING : parse_ports(c, flow, ip_class_of[protocol]);
}

static __always_inline enum unparsed parse_arp(struct cursor *c, struct flow_record *flow)
{
	struct arp_header *arp = c->pos;

	flow->packet_class = CLASS_LINK + LINK_CLASS_ARP;
	if (!advance(c, sizeof(*arp)))
		return UNPARSED_TRUNCATED_NETWORK;
	if (arp->ptype != bpf_htons(ETH_P_IP) || arp->hlen != 6 || arp->plen != 4)
		return UNPARSED_NOTHING; /* another network's ARP: counted without addresses */
	flow->saddr[0] = *(__u32 *)arp->spa;
	flow->daddr[0] = *(__u32 *)arp->tpa;
	return UNPARSED_NOTHING;
}

static __always_inline bool is_vlan(__be16 ethertype)
{
	return ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD);
}

static __always_inline enum unparsed skip_vlans(struct cursor *c, __be16 *ethertype)
{
#pragma unroll
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		struct vlan_header *vlan = c->pos;

		if (!is_vlan(*ethertype))
			return UNPARSED_NOTHING;
		if (!advance(c, sizeof(*vlan)))
			return UNPARSED_TRUNCATED_LINK;
		*ethertype = vlan->ethertype;
	}
	return is_vlan(*ethertype) ? UNPARSED_VLAN_DEPTH : UNPARSED_NOTHING;
}

static __always_inline __u8 link_class_of(__u16 ethertype)
{
	if (ethertype < ETH_P_802_3_MIN)
		return LINK_CLASS_LLC;
	if (ethertype == ETH_P_LLDP)
		return LINK_CLASS_LLDP;
	if (ethertype == ETH_P_MPLS_UC || ethertype == ETH_P_MPLS_MC)
		return LINK_CLASS_MPLS;
	if (ethertype == ETH_P_PPP_DISC || ethertype == ETH_P_PPP_SES)
		return LINK_CLASS_PPPOE;
	if (ethertype == ETH_P_PAE)
		return LINK_CLASS_EAPOL;
	return ethertype == ETH_P_MACSEC ? LINK_CLASS_MACSEC : LINK_CLASS_OTHER;
}

static __always_inline enum unparsed parse_ethernet(struct cursor *c, struct flow_record *flow)
{
	struct ethhdr *eth = c->pos;
	enum unparsed reason;
	__be16 ethertype;

	if (!advance(c, sizeof(*eth)))
		return UNPARSED_TRUNCATED_LINK;
	ethertype = eth->h_proto;
	reason = skip_vlans(c, &ethertype);
	if (reason)
		return reason;
	if (ethertype == bpf_htons(ETH_P_IP))
		return parse_ipv4(c, flow);
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(c, flow);
	if (ethertype == bpf_htons(ETH_P_ARP))
		return parse_arp(c, flow);
	flow->packet_class = CLASS_LINK + link_class_of(bpf_ntohs(ethertype));
	return UNPARSED_NOTHING;
}

/* An interface without a link-layer header: the version stands in the first four bits. */
static __always_inline enum unparsed parse_ip(struct cursor *c, struct flow_record *flow)
{
	__u8 *first = c->pos;

	if ((void *)(first + 1) > c->end)
		return UNPARSED_TRUNCATED_NETWORK;
	if (*first >> 4 == 4)
		return parse_ipv4(c, flow);
	if (*first >> 4 == 6)
		return parse_ipv6(c, flow);
	return UNPARSED_BAD_HEADER;
}

/* Fills the address, port and class fields of a zeroed *flow. */
static __always_inline enum unparsed parse(struct cursor *c, struct flow_record *flow,
					   __u32 link_type)
{
	if (link_type == LINK_ETHERNET)
		return parse_ethernet(c, flow);
	if (link_type == LINK_IP)
		return parse_ip(c, flow);
	return UNPARSED_NOTHING;
}

#endif
