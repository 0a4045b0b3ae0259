/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Counts every packet that an interface receives. For each frame the program finds the interface's
 * slot, parses the headers (parse.h), adds to that slot's counters (count.h) and, where user space
 * asked for it, adds it to its flow in the flow cache (flowcache.h) or sends it through a ring
 * buffer (send.h). Counters never depend on these: a packet that finds no room is counted as lost,
 * per interface. Every path ends in XDP_PASS, and no byte of a packet is written.
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
#include "count.h"
#include "parse.h"
#include "send.h"

#include "flowcache.h"

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
	if (!config.flow_sets || late_cpu)
		return send(flow);
	return add_to_cache(flow, bpf_get_smp_processor_id());
}

/* Everything that is done for one packet, whatever the hook. */
static __always_inline void account(struct cursor *c, __u32 ifindex, __u64 bytes,
				    enum direction direction)
{
	struct interface_entry *interface = find_interface(ifindex);
	struct flow_record record = {.packets = 1, .bytes = bytes, .direction = direction};
	struct flow_record *flow = &record;
	struct interface_counters *to;
	enum unparsed reason;
	bool shared;
	__u32 key;

	if (!interface)
		return;
	barrier_var(flow); /* stays in memory: as scalars it would be spilled in every branch */
	flow->interface = interface->id;
	key = counter_row(&shared) * config.slots + (flow->interface & (config.slots - 1));
	to = bpf_map_lookup_elem(&counters, &key);
	if (!to)
		return;
	reason = parse(c, flow, interface->link_type);
	count(to, flow, reason, shared);
	if (config.events && !attribute(flow, shared))
		add_tally(&to->lost, bytes, shared);
}

/* The length with all buffers of a multi-buffer frame, where the kernel has such frames (5.18). */
static __always_inline __u64 frame_bytes(struct xdp_md *ctx)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_xdp_get_buff_len))
		return bpf_xdp_get_buff_len(ctx);
	return ctx->data_end - ctx->data;
}

SEC("xdp.frags") int count_ingress(struct xdp_md *ctx)
{
	struct cursor c = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};

	account(&c, ctx->ingress_ifindex, frame_bytes(ctx), DIRECTION_INGRESS);
	return XDP_PASS;
}

/* The kernel lends most helpers to GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
