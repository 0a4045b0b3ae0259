/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * How many packets, of what sizes, a socket buffer stands for: the kernel holds segments of one
 * flow together (GRO), or cuts them late (GSO). Used by the skb programs of packet.bpf.c.
 */
#ifndef PKTEXP_SEGMENTS_H
#define PKTEXP_SEGMENTS_H

#define VLAN_BYTES 4
#define JUMBO_BYTES 8	    /* RFC 2675, as BIG TCP puts it into large segments alone */
#define GSO_BY_FRAGS 0xffff /* include/linux/skbuff.h: segments differ in size (SCTP) */

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

/* gso_segs is 0 where the sender did not tell: a guest, a packet socket. */
static __always_inline __u32 segments_of(struct __sk_buff *skb, __u32 payload)
{
	__u32 told = skb->gso_segs;

	return told ?: (payload + skb->gso_size - 1) / skb->gso_size ?: 1;
}

/*
 * Fills in p->segments and p->segment_bytes, and returns the bytes of all segments together, each
 * with its headers.
 */
static __always_inline __u64 split(struct __sk_buff *skb, const struct flow_record *flow,
				   struct packet *p)
{
	__u32 tag = skb->vlan_present ? VLAN_BYTES : 0;
	__u32 bytes = skb->len + tag, headers;

	if (!skb->gso_size)
		return bytes;
	headers = header_bytes(skb, flow, p) + tag;
	if (headers > bytes)
		return bytes; /* what says so is broken */
	/* Where there is no transport header it is not known how long they are. */
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
