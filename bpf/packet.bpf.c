/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Count every packet that an interface receives or sends. A program finds the interface's slot,
 * parses the headers (link.h) and adds to that slot's counters (count.h). With flows on, it also
 * adds the packet to its flow in the flow cache (flowcache.h), or sends it through a ring buffer
 * (send.h). Counters do not depend on flows: a packet that finds no room in a ring is counted, and
 * counted as lost.
 *
 * There are two kinds of hook. XDP sees frames as the device delivers them. TCX and clsact see
 * socket buffers, which may stand for many packets (segments.h) and need not be in one piece
 * (gather.h). Every path ends in XDP_PASS or TCX_NEXT, and no byte of a packet is written.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"

#include "config.h"
#include "cursor.h"
#include "count.h"
#include "tcpflags.h"
#include "transport.h"
#include "network.h"
#include "link.h"
#include "tunnelheaders.h"
#include "tunnel.h"
#include "gather.h"
#include "inside.h"
#include "segments.h"
#include "ifb.h"
#include "services.h"
#include "send.h"

#include "fastpath.h"
#include "flowcache.h"

/* TCX_NEXT and TC_ACT_UNSPEC have one value: the next program decides, if there is one. */
#define NEXT (-1)

/* Keeps types in the object's BTF that user space compares: clang drops types without a use. */
const struct {
	struct flow_record flow_record;
	enum link_type link_type;
	enum direction direction;
	enum link_class link_class;
	enum ip_class ip_class;
	enum packet_class packet_class;
	enum size_group size_group;
	enum size_bound size_bound;
	enum unparsed unparsed;
	enum tcp_combination tcp_combination;
	enum icmp_type icmp_type;
	enum trait trait;
	enum tunnel tunnel;
	enum limit limit;
	struct interface_counters counters;
} *anchor __attribute__((unused));

/*
 * Adds a packet to its flow; false if it is lost. A CPU that came online after the start has no
 * part of the cache, and sends each packet as a record.
 */
static __always_inline bool attribute(const struct place *at, struct flow_record *flow)
{
	if (!config.ports)
		flow->ports = 0;
	else if (config.services)
		fold_client_port(flow);
	if (config.flow_sets && !at->shared)
		return add_to_cache(at, flow);
	mark(at);
	return send(flow);
}

/*
 * Counts a packet that is parsed as far as possible. `segments` and `shared` are arguments, as the
 * compiler then knows their values at each call; from memory it would load them for each sum.
 */
static __always_inline void count_as(struct interface_counters *to, struct flow_record *flow,
				     const struct packet *p, __u32 segments, enum unparsed reason,
				     bool shared)
{
	count(to, flow, p, segments, reason, shared);
	if (is_tcp(flow))
		count_tcp_flags(to, flow->tcp_flags, segments, shared);
}

static __always_inline void count_packet(const struct place *at, struct flow_record *flow,
					 const struct packet *p, __u32 segments,
					 enum unparsed reason)
{
	flow->interface = at->id;
	flow->packets = segments;
	if (at->shared)
		count_as(at->counters, flow, p, segments, reason, true);
	else
		count_as(at->counters, flow, p, segments, reason, false);
}

/* Counts the tunnels that were decapsulated; *flow is the flow inside. */
static __always_inline void count_inside(const struct place *at, struct flow_record *flow,
					 const struct packet *inner, __u32 reason)
{
	count_bits(at->counters->tunnels, inner->tunnels, TUNNEL_COUNT, flow->packets, at->shared);
	if (reason)
		count_unparsed(at->counters, flow, reason, at->shared);
}

static __always_inline void tell(const struct place *at, struct flow_record *flow)
{
	if (!config.events)
		mark(at);
	else if (!attribute(at, flow))
		add_tally(&at->counters->lost, flow->packets, flow->bytes, at->shared);
}

/* Of a captured frame, which may be longer than a test run takes: the metadata before it. */
static __always_inline __u64 captured_bytes(struct xdp_md *ctx)
{
	__u32 *length = (void *)(long)ctx->data_meta;

	return (void *)(length + 1) > (void *)(long)ctx->data ? 0 : *length;
}

/* The length of a frame with all its buffers, on kernels with multi-buffer XDP (5.18). */
static __always_inline __u64 frame_bytes(struct xdp_md *ctx)
{
	if (config.wire_lengths)
		return captured_bytes(ctx);
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_xdp_get_buff_len))
		return bpf_xdp_get_buff_len(ctx);
	return ctx->data_end - ctx->data;
}

/*
 * frame_bytes() of a plain packet. Asking the kernel takes 7 ns. It is needed only for a frame in
 * several buffers, and there is but one if it ends where the IP header says, or is a short frame
 * with its padding.
 */
static __always_inline __u64 plain_bytes(struct xdp_md *ctx, __u32 told)
{
	__u64 linear = ctx->data_end - ctx->data;

	if (config.wire_lengths)
		return captured_bytes(ctx);
	if (linear == told || (linear <= ETH_ZLEN && told < linear))
		return linear;
	return frame_bytes(ctx);
}

static __always_inline void finish_frame(struct xdp_md *ctx, const struct place *at,
					 struct flow_record *flow, __u32 told)
{
	flow->bytes = plain_bytes(ctx, told);
	count_plain(at->counters, flow);
	tell(at, flow);
}

/* Takes the fast path, compiled for either version of IP; false if the packet is not plain. */
static __always_inline bool count_plain_frame(struct xdp_md *ctx, const struct place *at)
{
	struct flow_record flow = {
	    .direction = DIRECTION_INGRESS, .interface = at->id, .packets = 1};
	void *start = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 told;

	if (at->shared || at->link_type != LINK_ETHERNET)
		return false;
	if (parse_plain_ipv4(start, end, &flow, &told))
		finish_frame(ctx, at, &flow, told);
	else if (parse_plain_ipv6(start, end, &flow, &told))
		finish_frame(ctx, at, &flow, told);
	else
		return false;
	return true;
}

static __always_inline void count_any_frame(struct xdp_md *ctx, const struct place *at)
{
	void *start = (void *)(long)ctx->data;
	struct cursor c = {start, start, (void *)(long)ctx->data_end, false, false};
	struct flow_record record = {.direction = DIRECTION_INGRESS}, *flow = &record;
	struct packet parsed = {.segments = 1}, *p = &parsed, inner;
	enum unparsed reason;

	barrier_var(flow); /* keeps both in memory: scalars would be spilled in every branch */
	barrier_var(p);
	flow->bytes = frame_bytes(ctx);
	reason = parse(&c, flow, p, at->link_type);
	count_packet(at, flow, p, 1, reason);
	if (config.decap && !reason) {
		inner = *p;
		reason = look_inside_frame(ctx, flow, &inner, config.decap);
		count_inside(at, flow, &inner, reason);
	}
	tell(at, flow);
}

/* Parses a copy of the headers, if they are not all in the linear part. */
static __always_inline enum unparsed parse_all(struct __sk_buff *skb, struct flow_record *flow,
					       struct packet *p, __u32 link_type)
{
	struct packet again = {.segments = 1, .vlans = p->vlans};
	enum unparsed reason;

	__builtin_memset(flow, 0, offsetof(struct flow_record, direction));
	reason = parse_gathered(skb, flow, &again, link_type);
	*p = again;
	return reason;
}

static __always_inline void finish_skb(struct __sk_buff *skb, const struct place *at,
				       struct flow_record *flow)
{
	flow->bytes = buffer_bytes(skb);
	count_plain(at->counters, flow);
	tell(at, flow);
}

static __always_inline bool count_plain_skb(struct __sk_buff *skb, const struct place *at,
					    enum direction direction)
{
	struct flow_record flow = {.direction = direction, .interface = at->id, .packets = 1};
	void *start = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 told;

	if (at->shared || at->link_type != LINK_ETHERNET || skb->gso_size)
		return false;
	if (parse_plain_ipv4(start, end, &flow, &told))
		finish_skb(skb, at, &flow);
	else if (parse_plain_ipv6(start, end, &flow, &told))
		finish_skb(skb, at, &flow);
	else
		return false;
	return true;
}

static __always_inline void count_any_skb(struct __sk_buff *skb, const struct place *at,
					  enum direction direction)
{
	void *start = (void *)(long)skb->data;
	struct cursor c = {start, start, (void *)(long)skb->data_end, false, true};
	struct flow_record record = {.direction = direction}, *flow = &record;
	struct packet parsed = {.segments = 1, .vlans = skb->vlan_present}, *p = &parsed, inner;
	enum unparsed reason;

	barrier_var(flow);
	barrier_var(p);
	reason = parse(&c, flow, p, at->link_type);
	if (reason && !is_linear(skb))
		reason = parse_all(skb, flow, p, at->link_type);
	flow->bytes = split(skb, flow, p);
	count_packet(at, flow, p, p->segments, reason);
	if (config.decap && !reason) {
		inner = *p;
		reason = look_inside_skb(skb, flow, &inner, config.decap);
		count_inside(at, flow, &inner, reason);
	}
	tell(at, flow);
}

static __always_inline int count_skb(struct __sk_buff *skb, enum direction direction)
{
	struct place at;

	if (direction == DIRECTION_EGRESS && returned_by_ifb(skb))
		return NEXT;
	if (find_place(&at, skb->ifindex, direction) && !count_plain_skb(skb, &at, direction))
		count_any_skb(skb, &at, direction);
	return NEXT;
}

SEC("xdp") int count_xdp(struct xdp_md *ctx)
{
	struct place at;

	if (find_place(&at, ctx->ingress_ifindex, DIRECTION_INGRESS) &&
	    !count_plain_frame(ctx, &at))
		count_any_frame(ctx, &at);
	return XDP_PASS;
}

SEC("tc") int count_ingress(struct __sk_buff *skb)
{
	return count_skb(skb, DIRECTION_INGRESS);
}

SEC("tc") int count_egress(struct __sk_buff *skb)
{
	return count_skb(skb, DIRECTION_EGRESS);
}

/* The kernel gives most helpers to GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
