/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The headers of tunnels, and for each a function that moves the cursor behind it.
 */
#ifndef PKTEXP_TUNNELHEADERS_H
#define PKTEXP_TUNNELHEADERS_H

#define VXLAN_HAS_VNI 0x08
#define GENEVE_VERSION 0xc0
#define GENEVE_OPTIONS 0x3f
#define GTPU_FIXED_BITS 0xf0 /* version and protocol type */
#define GTPU_VERSION_1 0x30
#define GTPU_OPTIONAL 0x07
#define GTPU_EXTENSION 0x04
#define GTPU_G_PDU 0xff
#define GRE_CHECKSUM 0x8000
#define GRE_KEY 0x2000
#define GRE_SEQUENCE 0x1000
#define GRE_UNKNOWN 0x4fff /* routing, recursion, flags, another version */
#define MPLS_BOTTOM 0x01
#define PPPOE_VERSION_TYPE 0x11
#define PPP_IPV4 0x0021
#define PPP_IPV6 0x0057

/* RFC 7348, 5; from behind the UDP ports. */
struct vxlan_header {
	__u8 udp_rest[UDP_REST];
	__u8 flags;
	__u8 reserved[3];
	__u8 vni[4];
};

/* RFC 8926, 3.4; from behind the UDP ports. */
struct geneve_header {
	__u8 udp_rest[UDP_REST];
	__u8 options; /* version, and length of the options in words of 4 bytes */
	__u8 flags;
	__be16 ethertype;
	__u8 vni[4];
};

/* 3GPP TS 29.281, 5.1; from behind the UDP ports. */
struct gtpu_header {
	__u8 udp_rest[UDP_REST];
	__u8 flags;
	__u8 type;
	__be16 length;
	__u8 teid[4];
};

/* Present if any of GTPU_OPTIONAL is set. */
struct gtpu_optional {
	__be16 sequence;
	__u8 n_pdu;
	__u8 next;
};

/* RFC 2784 and 2890. */
struct gre_header {
	__be16 flags;
	__be16 ethertype;
};

/* RFC 3032, 2.1. */
struct mpls_label {
	__u8 label[2];
	__u8 bottom; /* its last bit: bottom of stack */
	__u8 ttl;
};

/* RFC 2516, 4. */
struct pppoe_header {
	__u8 version_type;
	__u8 code; /* 0: session data, which begins with the protocol field of PPP */
	__be16 session;
	__be16 length;
};

/*
 * Each open function moves the cursor behind a tunnel's header and sets *inside to the ethertype of
 * the content: ETH_P_TEB for a frame, 0 if it is not known. False if the header is truncated.
 */
static __always_inline bool open_vxlan(struct cursor *c, __u16 *inside)
{
	struct vxlan_header *vxlan = c->pos;

	if (!advance(c, sizeof(*vxlan)))
		return false;
	*inside = vxlan->flags & VXLAN_HAS_VNI ? ETH_P_TEB : 0;
	return true;
}

static __always_inline bool open_geneve(struct cursor *c, __u16 *inside)
{
	struct geneve_header *geneve = c->pos;

	if (!advance(c, sizeof(*geneve)))
		return false;
	*inside = geneve->options & GENEVE_VERSION ? 0 : bpf_ntohs(geneve->ethertype);
	return advance(c, (geneve->options & GENEVE_OPTIONS) * 4);
}

/* Sets *inside, where no ethertype is given, by the first four bits, the IP version. */
static __always_inline bool tell_version(struct cursor *c, __u16 *inside)
{
	__u8 *first = c->pos;

	if ((void *)(first + 1) > c->end)
		return false;
	*inside = *first >> 4 == 4 ? ETH_P_IP : *first >> 4 == 6 ? ETH_P_IPV6 : 0;
	return true;
}

/* An extension header begins with its length in words of 4 bytes, and ends with the next type. */
static __always_inline bool skip_gtpu_extensions(struct cursor *c, __u8 *next)
{
	for (int i = 0; i < MAX_GTPU_EXTENSIONS && *next; i++) {
		__u8 *ext = c->pos;

		if ((void *)(ext + 1) > c->end || !*ext)
			return false;
		if (!advance(c, *ext * 4 - 1) || !settle(c))
			return false;
		ext = c->pos;
		if (!advance(c, 1))
			return false;
		*next = *ext;
	}
	return true;
}

static __always_inline bool open_gtpu(struct cursor *c, __u16 *inside)
{
	struct gtpu_header *gtpu = c->pos;
	struct gtpu_optional *optional;
	bool extended;
	__u8 next = 0;

	if (!advance(c, sizeof(*gtpu)))
		return false;
	if ((gtpu->flags & GTPU_FIXED_BITS) != GTPU_VERSION_1 || gtpu->type != GTPU_G_PDU)
		return true; /* signalling */
	extended = gtpu->flags & GTPU_EXTENSION;
	if (gtpu->flags & GTPU_OPTIONAL) {
		optional = c->pos;
		if (!advance(c, sizeof(*optional)))
			return false;
		if (extended)
			next = optional->next;
		if (!skip_gtpu_extensions(c, &next))
			return false;
	}
	return next || tell_version(c, inside);
}

static __always_inline bool open_gre(struct cursor *c, __u16 *inside)
{
	struct gre_header *gre = c->pos;
	__u16 flags;

	if (!advance(c, sizeof(*gre)))
		return false;
	flags = bpf_ntohs(gre->flags);
	if (flags & GRE_UNKNOWN)
		return true;
	*inside = bpf_ntohs(gre->ethertype);
	return advance(c, !!(flags & GRE_CHECKSUM) * 4 + !!(flags & GRE_KEY) * 4 +
			      !!(flags & GRE_SEQUENCE) * 4);
}

static __always_inline bool open_mpls(struct cursor *c, __u16 *inside)
{
	for (int i = 0; i < MAX_MPLS_LABELS; i++) {
		struct mpls_label *label = c->pos;

		if (!advance(c, sizeof(*label)))
			return false;
		if (label->bottom & MPLS_BOTTOM)
			return tell_version(c, inside);
	}
	return true;
}

static __always_inline bool open_pppoe(struct cursor *c, __u16 *inside)
{
	struct pppoe_header *pppoe = c->pos;
	__be16 *protocol;

	if (!advance(c, sizeof(*pppoe)))
		return false;
	if (pppoe->version_type != PPPOE_VERSION_TYPE || pppoe->code)
		return true; /* discovery */
	protocol = c->pos;
	if (!advance(c, sizeof(*protocol)))
		return false;
	if (*protocol == bpf_htons(PPP_IPV4))
		*inside = ETH_P_IP;
	else if (*protocol == bpf_htons(PPP_IPV6))
		*inside = ETH_P_IPV6;
	return true;
}

static __always_inline bool open_tunnel(struct cursor *c, enum tunnel tunnel, __u16 *inside)
{
	switch (tunnel) {
	case TUNNEL_VXLAN:
		return open_vxlan(c, inside);
	case TUNNEL_GENEVE:
		return open_geneve(c, inside);
	case TUNNEL_GTPU:
		return open_gtpu(c, inside);
	case TUNNEL_GRE:
		return open_gre(c, inside);
	case TUNNEL_MPLS:
		return open_mpls(c, inside);
	case TUNNEL_PPPOE:
		return open_pppoe(c, inside);
	default:
		return tell_version(c, inside);
	}
}

#endif
