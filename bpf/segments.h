/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Count the packets for which a socket buffer stands, and their sizes: the kernel merges segments
 * of a flow (GRO), or splits a large one late (GSO).
 */
#ifndef PKTEXP_SEGMENTS_H
#define PKTEXP_SEGMENTS_H

#define VLAN_BYTES 4
#define JUMBO_BYTES 8	    /* option of RFC 2675, which BIG TCP adds to large segments only */
#define GSO_BY_FRAGS 0xffff /* include/linux/skbuff.h: segments differ in size (SCTP) */

/* Bytes of a buffer, with the VLAN tag that is not in its data. */
static __always_inline __u32 buffer_bytes(struct __sk_buff *skb)
{
	return skb->len + (skb->vlan_present ? VLAN_BYTES : 0);
}

/* Bytes before the payload, up to the innermost transport header. */
static __always_inline __u32 header_bytes(struct __sk_buff *skb, const struct flow_record *flow,
					  const struct packet *p)
{
	struct flow_record inner_flow = *flow;
	struct packet inner = *p;

	if (tunnel_of(flow, p) == NO_TUNNEL)
		return p->headers;
	look_inside_skb(skb, &inner_flow, &inner, ALL_TUNNELS);
	return inner.headers;
}

/* gso_segs is 0 if the sender has not set it: a guest, or a packet socket. */
static __always_inline __u32 segments_of(struct __sk_buff *skb, __u32 payload)
{
	__u32 told = skb->gso_segs;

	return told ?: (payload + skb->gso_size - 1) / skb->gso_size ?: 1;
}

/*
 * Sets p->segments and p->segment_bytes; returns the bytes of all segments, each with its headers.
 */
static __always_inline __u64 split(struct __sk_buff *skb, const struct flow_record *flow,
				   struct packet *p)
{
	__u32 bytes = buffer_bytes(skb), tag = bytes - skb->len, headers;

	if (!skb->gso_size)
		return bytes;
	headers = header_bytes(skb, flow, p) + tag;
	if (headers > bytes)
		return bytes; /* a length in a header is wrong */
	/* Without a transport header their length is not known, and nothing is subtracted. */
	if (p->jumbo && headers > JUMBO_BYTES) {
		headers -= JUMBO_BYTES;
		bytes -= JUMBO_BYTES;
	}
	p->segments = segments_of(skb, bytes - headers);
	bytes += (p->segments - 1) * headers;
	p->segment_bytes =
	    skb->gso_size == GSO_BY_FRAGS ? bytes / p->segments : headers + skb->gso_size;
	return bytes;
}

#endif
