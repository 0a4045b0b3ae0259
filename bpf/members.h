/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Buffers that hang on another one: what reassembly or GRO has put into one packet. When that is
 * dropped they are freed after it on the same CPU, one by one, and the tracepoint tells of each,
 * with no reason of its own. Used by drops.bpf.c, so that none of them counts again.
 */
#ifndef PKTEXP_MEMBERS_H
#define PKTEXP_MEMBERS_H

enum {
	DATA_USERS = 0xffff, /* the lower half of dataref; the upper counts users of the payload */
};

/* The address of the member that is to come next on this CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} next_member SEC(".maps");

static __always_inline bool is_member(const struct sk_buff *skb)
{
	__u32 key = 0;
	__u64 *next = bpf_map_lookup_elem(&next_member, &key);

	if (!next || *next != (__u64)skb)
		return false;
	*next = (__u64)skb->next;
	return true;
}

/* If a clone shares the data, the members stay with the clone. */
static __always_inline void expect_members(const struct skb_shared_info *shared)
{
	__u32 key = 0;
	__u64 *next = bpf_map_lookup_elem(&next_member, &key);
	struct sk_buff *first = BPF_CORE_READ(shared, frag_list);

	if (next && first && (BPF_CORE_READ(shared, dataref.counter) & DATA_USERS) == 1)
		*next = (__u64)first;
}

#endif
