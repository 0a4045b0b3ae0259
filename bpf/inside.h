/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Global functions, which the verifier checks once on their own, and not again for each way in
 * which headers can be parsed before the call: decapsulating tunnels (tunnel.h), and parsing a copy
 * of the headers (gather.h). They find the packet through their context. Callers pass copies of
 * variables that should stay in registers.
 */
#ifndef PKTEXP_INSIDE_H
#define PKTEXP_INSIDE_H

static __always_inline enum unparsed look_inside(struct cursor *c, struct flow_record *flow,
						 struct packet *p, __u32 wanted)
{
	if (!flow || !p)
		return UNPARSED_NOTHING;
	if (!advance(c, p->parsed & MAX_HEADERS))
		return UNPARSED_TRUNCATED_TUNNEL;
	return enter_tunnels(c, flow, p, wanted);
}

/* Calls enter_tunnels for the part of a frame behind the p->parsed bytes. */
__noinline int look_inside_frame(struct xdp_md *ctx, struct flow_record *flow, struct packet *p,
				 __u32 wanted)
{
	void *start = (void *)(long)ctx->data;
	struct cursor c = {start, start, (void *)(long)ctx->data_end, false, false};

	return look_inside(&c, flow, p, wanted);
}

__noinline int look_inside_copy(struct __sk_buff *skb, struct flow_record *flow, struct packet *p,
				__u32 wanted)
{
	struct cursor c;

	if (!gather(skb, &c))
		return UNPARSED_TRUNCATED_TUNNEL;
	return look_inside(&c, flow, p, wanted);
}

__noinline int look_inside_skb(struct __sk_buff *skb, struct flow_record *flow, struct packet *p,
			       __u32 wanted)
{
	void *start = (void *)(long)skb->data;
	struct cursor c = {start, start, (void *)(long)skb->data_end, false, true};

	if (!is_linear(skb))
		return look_inside_copy(skb, flow, p, wanted);
	return look_inside(&c, flow, p, wanted);
}

/* Calls parse on a copy of the headers; without a copy nothing is parsed. */
__noinline int parse_gathered(struct __sk_buff *skb, struct flow_record *flow, struct packet *p,
			      __u32 link_type)
{
	struct cursor c;

	if (!flow || !p || !gather(skb, &c))
		return UNPARSED_TRUNCATED_LINK;
	return parse(&c, flow, p, link_type);
}

#endif
