/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Counts every packet that an interface receives or sends. For each one a program finds the
 * interface's slot, parses the headers (link.h), adds to that slot's counters (count.h) and, where
 * user space asked for it, adds it to its flow in the flow cache (flowcache.h) or sends it through
 * a ring buffer (send.h). Counters never depend on these: a packet that finds no room is counted as
 * lost, per interface. There are two kinds of hook: XDP sees frames as the device gives them, TCX
 * (and clsact) sees socket buffers, which may stand for many packets (segments.h) and need not lie
 * in one piece (gather.h). Every path ends in XDP_PASS or TCX_NEXT, and no byte of a packet is
 * written.
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
#include "services.h"
#include "send.h"

#include "flowcache.h"

/* TCX_NEXT and TC_ACT_UNSPEC are the same: the next program decides, or nobody. */
#define NEXT (-1)

/* Types that user space relies on, kept in the object's BTF: clang drops what no code names. */
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
} *anchor __attribute__((unused));

/*
 * Tells user space whose packet it was; false if that can't be done. A CPU that came online after
 * the start has no part of the cache, and sends each packet.
 */
static __always_inline bool attribute(struct flow_record *flow, bool late_cpu)
{
	if (!config.ports)
		flow->ports = 0;
	else if (config.services)
		fold_client_port(flow);
	if (!config.flow_sets || late_cpu)
		return send(flow);
	return add_to_cache(flow, bpf_get_smp_processor_id());
}

/*
 * Counts a packet, parsed as far as it could be, whatever the hook. Of `segments` and `shared`
 * compilers know what they are where this is called; in memory they would be asked for at each sum.
 */
static __always_inline void count_as(struct interface_counters *to, const struct flow_record *flow,
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

/* Counts what it carries, which from here on is what the flow is about. */
static __always_inline void count_inside(const struct place *at, const struct flow_record *flow,
					 const struct packet *inner, __u32 reason)
{
	count_bits(at->counters->tunnels, inner->tunnels, TUNNEL_COUNT, flow->packets, at->shared);
	if (reason)
		count_unparsed(at->counters, reason, at->shared);
}

static __always_inline void tell(const struct place *at, struct flow_record *flow)
{
	if (config.events && !attribute(flow, at->shared))
		add_tally(&at->counters->lost, flow->packets, flow->bytes, at->shared);
}

/* The length with all buffers of a multi-buffer frame, where the kernel has such frames (5.18). */
static __always_inline __u64 frame_bytes(struct xdp_md *ctx)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_xdp_get_buff_len))
		return bpf_xdp_get_buff_len(ctx);
	return ctx->data_end - ctx->data;
}

static __always_inline int count_frame(struct xdp_md *ctx)
{
	void *start = (void *)(long)ctx->data;
	struct cursor c = {start, start, (void *)(long)ctx->data_end, false, false};
	struct flow_record record = {.direction = DIRECTION_INGRESS}, *flow = &record;
	struct packet parsed = {.segments = 1}, *p = &parsed, inner;
	enum unparsed reason;
	struct place at;

	if (!find_place(&at, ctx->ingress_ifindex, DIRECTION_INGRESS))
		return XDP_PASS;
	barrier_var(flow); /* both stay in memory: scalars would be spilled in every branch */
	barrier_var(p);
	flow->bytes = frame_bytes(ctx);
	reason = parse(&c, flow, p, at.link_type);
	count_packet(&at, flow, p, 1, reason);
	if (config.decap && !reason) {
		inner = *p;
		reason = look_inside_frame(ctx, flow, &inner, config.decap);
		count_inside(&at, flow, &inner, reason);
	}
	tell(&at, flow);
	return XDP_PASS;
}

/* Parses again where the headers do not all lie in the linear part. */
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

static __always_inline int count_skb(struct __sk_buff *skb, enum direction direction)
{
	void *start = (void *)(long)skb->data;
	struct cursor c = {start, start, (void *)(long)skb->data_end, false, true};
	struct flow_record record = {.direction = direction}, *flow = &record;
	struct packet parsed = {.segments = 1, .vlans = skb->vlan_present}, *p = &parsed, inner;
	enum unparsed reason;
	struct place at;

	if (!find_place(&at, skb->ifindex, direction))
		return NEXT;
	barrier_var(flow);
	barrier_var(p);
	reason = parse(&c, flow, p, at.link_type);
	if (reason && !is_linear(skb))
		reason = parse_all(skb, flow, p, at.link_type);
	flow->bytes = split(skb, flow, p);
	count_packet(&at, flow, p, p->segments, reason);
	if (config.decap && !reason) {
		inner = *p;
		reason = look_inside_skb(skb, flow, &inner, config.decap);
		count_inside(&at, flow, &inner, reason);
	}
	tell(&at, flow);
	return NEXT;
}

SEC("xdp") int count_xdp(struct xdp_md *ctx)
{
	return count_frame(ctx);
}

SEC("tc") int count_ingress(struct __sk_buff *skb)
{
	return count_skb(skb, DIRECTION_INGRESS);
}

SEC("tc") int count_egress(struct __sk_buff *skb)
{
	return count_skb(skb, DIRECTION_EGRESS);
}

/* The kernel lends most helpers to GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
