/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Members: buffers that reassembly or GRO has chained to a packet's first buffer. When the packet
 * is dropped, the kernel frees its members after it on the same CPU, and the tracepoint fires for
 * each. Recognising them keeps one packet from being counted several times.
 */
#ifndef PKTEXP_MEMBERS_H
#define PKTEXP_MEMBERS_H

enum {
	DATA_USERS = 0xffff, /* the lower half of dataref; the upper counts users of the payload */
};

/* The address of the next member to be freed on this CPU. */
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

/* Remembers the first member. If a clone shares the data, the members stay with the clone. */
static __always_inline void expect_members(const struct skb_shared_info *shared)
{
	__u32 key = 0;
	__u64 *next = bpf_map_lookup_elem(&next_member, &key);
	struct sk_buff *first = BPF_CORE_READ(shared, frag_list);

	if (next && first && (BPF_CORE_READ(shared, dataref.counter) & DATA_USERS) == 1)
		*next = (__u64)first;
}

#endif
