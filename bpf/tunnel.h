/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Recognise and decapsulate tunnels: tunnelheaders.h for their headers, link.h for the packet
 * inside.
 */
#ifndef PKTEXP_TUNNEL_H
#define PKTEXP_TUNNEL_H

#define ALL_TUNNELS ((1U << TUNNEL_COUNT) - 1)
#define NO_TUNNEL TUNNEL_COUNT

/* IANA; Linux used 8472 before VXLAN had a number, and flannel still does. */
enum {
	PORT_GTPU = 2152,
	PORT_VXLAN = 4789,
	PORT_GENEVE = 6081,
	PORT_VXLAN_LINUX = 8472,
};

static __always_inline enum tunnel tunnel_over_udp(__u16 port)
{
	if (port == PORT_VXLAN || port == PORT_VXLAN_LINUX)
		return TUNNEL_VXLAN;
	if (port == PORT_GENEVE)
		return TUNNEL_GENEVE;
	return port == PORT_GTPU ? TUNNEL_GTPU : NO_TUNNEL;
}

/* The tunnel that a packet's headers name, or NO_TUNNEL. */
static __always_inline enum tunnel tunnel_of(const struct flow_record *flow, const struct packet *p)
{
	if (p->later)
		return NO_TUNNEL;
	switch (flow->packet_class) {
	case CLASS_IPV4 + IP_CLASS_UDP:
	case CLASS_IPV6 + IP_CLASS_UDP:
		return tunnel_over_udp(bpf_ntohs(flow->ports >> 16));
	case CLASS_IPV4 + IP_CLASS_GRE:
	case CLASS_IPV6 + IP_CLASS_GRE:
		return TUNNEL_GRE;
	case CLASS_IPV4 + IP_CLASS_IPIP:
		return TUNNEL_IPIP;
	case CLASS_IPV4 + IP_CLASS_IPV6:
		return TUNNEL_SIXIN4;
	case CLASS_IPV6 + IP_CLASS_IPIP:
	case CLASS_IPV6 + IP_CLASS_IPV6:
		return TUNNEL_IP_IN_IPV6;
	case CLASS_LINK + LINK_CLASS_MPLS:
		return TUNNEL_MPLS;
	case CLASS_LINK + LINK_CLASS_PPPOE:
		return TUNNEL_PPPOE;
	default:
		return NO_TUNNEL;
	}
}

static __always_inline void forget_outer(struct flow_record *flow, struct packet *p)
{
	flow->saddr[0] = flow->saddr[1] = flow->daddr[0] = flow->daddr[1] = 0;
	flow->ports = 0;
	flow->packet_class = CLASS_LINK + LINK_CLASS_OTHER;
	flow->tcp_flags = 0;
	*p = (struct packet){.segments = 1, .tunnels = p->tunnels};
}

/* Other contents, such as mirrored traffic (ERSPAN) or keepalives, have no flow. */
static __always_inline bool is_known(__u16 inside)
{
	return inside == ETH_P_TEB || inside == ETH_P_IP || inside == ETH_P_IPV6 ||
	       inside == ETH_P_MPLS_UC || inside == ETH_P_MPLS_MC;
}

/*
 * Decapsulates the wanted tunnels, also nested ones, from behind the headers that parse() read.
 * *flow and *p then describe the packet inside, and p->tunnels has the tunnels passed. If the
 * content of a tunnel is not known, *flow and *p stay unchanged.
 */
static __always_inline enum unparsed enter_tunnels(struct cursor *c, struct flow_record *flow,
						   struct packet *p, __u32 wanted)
{
	enum unparsed reason = UNPARSED_NOTHING;

	for (int i = 0; i < MAX_TUNNELS && !reason; i++) {
		enum tunnel tunnel = tunnel_of(flow, p);
		__u16 inside = 0;

		if (!(wanted & 1U << tunnel))
			return UNPARSED_NOTHING;
		if (!open_tunnel(c, tunnel, &inside) || !settle(c))
			return UNPARSED_TRUNCATED_TUNNEL;
		if (!is_known(inside))
			return UNPARSED_NOTHING;
		p->tunnels |= 1U << tunnel;
		forget_outer(flow, p);
		if (inside == ETH_P_TEB)
			reason = parse_ethernet(c, flow, p);
		else
			reason = parse_ethertype(c, flow, p, bpf_htons(inside));
	}
	return reason;
}

#endif
