/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Packets counted by interface and reason, for programs that see few of them: drops.bpf.c and
 * retransmits.bpf.c. The constants, the key and the table of interfaces are shared with user space;
 * src/pktexp/bpf/tracing.py mirrors the structs and is checked against the object's BTF.
 */
#ifndef PKTEXP_CELLS_H
#define PKTEXP_CELLS_H

/* Chosen by user space before loading; constants to the verifier. */
struct trace_config {
	__u32 netns;	 /* whose packets are counted, by number: others use the same ifindexes */
	__u32 slots;	 /* buckets in the table of interfaces; a power of two */
	__u32 arguments; /* that the tracepoint has on this kernel */
};

struct cell_key {
	__u32 interface; /* interface_entry.id; 0: no interface */
	__u32 reason;
};

/* A section of its own, so that user space sees exactly this and nothing beside it. */
SEC(".rodata.config") const volatile struct trace_config config = {};

/* Its map is that of packet.bpf.c: user space puts it here before loading. */
#include "interfaces.h"

/* A cell appears with its first packet; user space takes those of ended leases out. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct cell_key);
	__type(value, __u64);
} cells SEC(".maps");

/* Packets that found no cell. */
SEC(".data.overflow") __u64 overflow = 0;

/* The id under which an interface of ours is counted; 0 if it is not. */
static __always_inline __u32 interface_id(__u32 ifindex)
{
	struct interface_entry *interface = find_interface(ifindex);

	return interface ? interface->id : 0;
}

static __always_inline void count_packets(__u32 interface, __u32 reason, __u64 packets)
{
	struct cell_key key = {interface, reason};
	__u64 *cell = bpf_map_lookup_elem(&cells, &key), none = 0;

	if (!cell) {
		/* It may fail: the map is full, or another CPU was first. */
		bpf_map_update_elem(&cells, &key, &none, BPF_NOEXIST);
		cell = bpf_map_lookup_elem(&cells, &key);
	}
	__sync_fetch_and_add(cell ? cell : &overflow, packets);
}

#endif
