/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Parse a frame from its first byte to the flow key: Ethernet and VLAN tags, then network.h. A
 * parser returns why it stopped; the class is always as exact as the readable bytes allow.
 */
#ifndef PKTEXP_LINK_H
#define PKTEXP_LINK_H

struct vlan_header {
	__be16 tci;
	__be16 ethertype;
};

static __always_inline bool is_vlan(__be16 ethertype)
{
	return ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD);
}

static __always_inline enum unparsed skip_vlans(struct cursor *c, __be16 *ethertype,
						struct packet *p)
{
	__u8 seen = p->vlans;

#pragma unroll
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		struct vlan_header *vlan = c->pos;

		if (!is_vlan(*ethertype))
			return UNPARSED_NOTHING;
		if (i + seen >= MAX_VLAN_TAGS)
			return UNPARSED_VLAN_DEPTH;
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

static __always_inline enum unparsed parse_ethertype(struct cursor *c, struct flow_record *flow,
						     struct packet *p, __be16 ethertype)
{
	if (ethertype == bpf_htons(ETH_P_IP))
		return parse_ipv4(c, flow, p);
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(c, flow, p);
	if (ethertype == bpf_htons(ETH_P_ARP))
		return parse_arp(c, flow);
	flow->packet_class = CLASS_LINK + link_class_of(bpf_ntohs(ethertype));
	return UNPARSED_NOTHING;
}

/* IEEE 802: the first bit on the wire marks a group address; broadcast has all bits set. */
static __always_inline void note_group(struct packet *p, const __u8 dest[ETH_ALEN])
{
	const __u16 *words = (const void *)dest;
	__u32 all = words[0] & words[1] & words[2];

	note(p, TRAIT_GROUP, dest[0] & 1);
	note(p, TRAIT_BROADCAST, (all + 1) >> 16);
}

static __always_inline enum unparsed parse_ethernet(struct cursor *c, struct flow_record *flow,
						    struct packet *p)
{
	struct ethhdr *eth = c->pos;
	enum unparsed reason;
	__be16 ethertype;

	if (!advance(c, sizeof(*eth)))
		return UNPARSED_TRUNCATED_LINK;
	note_group(p, eth->h_dest);
	ethertype = eth->h_proto;
	reason = skip_vlans(c, &ethertype, p);
	if (reason)
		return reason;
	return parse_ethertype(c, flow, p, ethertype);
}

/* Parses a packet without link-layer header by its first four bits, the IP version. */
static __always_inline enum unparsed parse_ip(struct cursor *c, struct flow_record *flow,
					      struct packet *p)
{
	__u8 *first = c->pos;

	if ((void *)(first + 1) > c->end)
		return UNPARSED_TRUNCATED_NETWORK;
	if (*first >> 4 == 4)
		return parse_ipv4(c, flow, p);
	if (*first >> 4 == 6)
		return parse_ipv6(c, flow, p);
	return UNPARSED_BAD_HEADER;
}

/* Fills the addresses, ports and class of a zeroed *flow, and a zeroed *p. */
static __always_inline enum unparsed parse(struct cursor *c, struct flow_record *flow,
					   struct packet *p, __u32 link_type)
{
	enum unparsed reason = UNPARSED_NOTHING;

	if (link_type == LINK_ETHERNET)
		reason = parse_ethernet(c, flow, p);
	else if (link_type == LINK_IP)
		reason = parse_ip(c, flow, p);
	if (!reason && (c->large || config.decap)) /* else it is not needed */
		p->parsed = bytes_before(c);
	return reason;
}

#endif
