/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The same counting in two kinds of map, for counter_maps.py: a mapped array with a row for each
 * CPU, as packet.bpf.c has it, and a PERCPU_ARRAY.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "../bpf/packet.h"

enum { ROWS = 64, SLOTS = 64, SLOT = 5 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ROWS *SLOTS);
	__type(key, __u32);
	__type(value, struct interface_counters);
} mapped_array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct interface_counters);
} percpu_array SEC(".maps");

static __always_inline void count(struct interface_counters *to, struct xdp_md *ctx)
{
	if (!to)
		return;
	to->classes[CLASS_IPV4].packets += 1;
	to->classes[CLASS_IPV4].bytes += ctx->data_end - ctx->data;
	to->sizes[0] += 1;
}

SEC("xdp") int empty(struct xdp_md *ctx)
{
	return ctx->data > ctx->data_end ? XDP_ABORTED : XDP_PASS;
}

SEC("xdp") int mapped(struct xdp_md *ctx)
{
	__u32 key = (bpf_get_smp_processor_id() & (ROWS - 1)) * SLOTS + SLOT;

	count(bpf_map_lookup_elem(&mapped_array, &key), ctx);
	return XDP_PASS;
}

SEC("xdp") int percpu(struct xdp_md *ctx)
{
	__u32 key = SLOT;

	count(bpf_map_lookup_elem(&percpu_array, &key), ctx);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
