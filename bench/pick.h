/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Packets of many flows out of one frame, which BPF_PROG_TEST_RUN gives again and again: the number
 * of the next flow is written into its source address.
 */
#ifndef PKTEXP_PICK_H
#define PKTEXP_PICK_H

enum { SEQUENCE = 1 << 20, ETHERTYPE_AT = 12, SOURCE4_AT = 26, SOURCE6_AT = 34 };

/* Numbers of flows in the order in which their packets come. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SEQUENCE);
	__type(key, __u32);
	__type(value, __u64); /* an array's values lie eight bytes apart, even if they take four */
} sequence SEC(".maps");

static __u32 position;

static __always_inline void pick(void *data, void *end)
{
	__u32 key = position++ & (SEQUENCE - 1);
	__u64 *number = bpf_map_lookup_elem(&sequence, &key);

	if (!number || data + SOURCE6_AT + sizeof(__u32) > end)
		return;
	if (*(__be16 *)(data + ETHERTYPE_AT) == bpf_htons(ETH_P_IP))
		*(__u32 *)(data + SOURCE4_AT) = *number;
	else
		*(__u32 *)(data + SOURCE6_AT) = *number;
}

#endif
