/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The table of counted interfaces and the leases of slots, which user space fills and all programs
 * share. The table needs a `config` with `slots`.
 */
#ifndef PKTEXP_INTERFACES_H
#define PKTEXP_INTERFACES_H

/* ifindex -> slot. A bucket has few entries, as ifindexes are assigned one after another. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct interface_bucket);
} interfaces SEC(".maps");

/* By slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lease);
} leases SEC(".maps");

static __always_inline struct interface_entry *find_interface(__u32 ifindex)
{
	__u32 key = ifindex & (config.slots - 1);
	struct interface_bucket *bucket = bpf_map_lookup_elem(&interfaces, &key);

	if (!bucket)
		return NULL;
#pragma unroll
	for (int i = 0; i < INTERFACE_WAYS; i++)
		if (bucket->ways[i].ifindex == ifindex)
			return &bucket->ways[i];
	return NULL;
}

#endif
