/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Add to a cell of a hash map, for programs that see few packets.
 */
#ifndef PKTEXP_CELL_H
#define PKTEXP_CELL_H

/* Adds to the cell of a key, which its first packet makes; to *overflow if the map is full. */
static __always_inline void add_to_cell(void *cells, const void *key, __u64 *overflow,
					__u64 packets)
{
	__u64 *cell = bpf_map_lookup_elem(cells, key), none = 0;

	if (!cell) {
		/* This fails if the map is full, or another CPU was first. */
		bpf_map_update_elem(cells, key, &none, BPF_NOEXIST);
		cell = bpf_map_lookup_elem(cells, key);
	}
	__sync_fetch_and_add(cell ? cell : overflow, packets);
}

#endif
