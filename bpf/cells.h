/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Count packets by interface and reason, in tracing programs, which see few packets. The constants,
 * the key and the table of interfaces are shared with user space: src/pktexp/bpf/tracing.py mirrors
 * the structs and is compared with the object's BTF.
 */
#ifndef PKTEXP_CELLS_H
#define PKTEXP_CELLS_H

/* Set by user space before loading; the verifier treats them as constants. */
struct trace_config {
	__u32 netns;	 /* namespace that is counted, by number; ifindexes recur in others */
	__u32 slots;	 /* buckets in the table of interfaces; a power of two */
	__u32 arguments; /* number of arguments that the tracepoint has on this kernel */
};

struct cell_key {
	__u32 interface; /* interface_entry.id; 0: no interface */
	__u32 reason;
};

/* In a section of its own, so that user space maps it without other data. */
SEC(".rodata.config") const volatile struct trace_config config = {};

#include "cell.h"

/* User space replaces its maps by those of packet.bpf.c before loading. */
#include "interfaces.h"

/* A cell is created by its first packet; user space removes cells of ended leases. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct cell_key);
	__type(value, __u64);
} cells SEC(".maps");

/* Packets counted in no cell, as the map was full. */
SEC(".data.overflow") __u64 overflow = 0;

static __always_inline void count_packets(__u32 interface, __u32 reason, __u64 packets)
{
	struct cell_key key = {interface, reason};

	add_to_cell(&cells, &key, &overflow, packets);
}

#endif
