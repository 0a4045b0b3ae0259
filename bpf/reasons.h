/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Reasons for which a buffer is freed, and which of them are no drops.
 */
#ifndef PKTEXP_REASONS_H
#define PKTEXP_REASONS_H

enum {
	RECEIVER = 3, /* the argument of kfree_skb that holds the receiving socket */
};

/* libbpf finds enumerators by name; the numbers are those of the running kernel's BTF. */
enum skb_drop_reason {
	SKB_NOT_DROPPED_YET = 1,
	SKB_CONSUMED = 2,
};

#define IS_REASON(number, name)                                                                    \
	(bpf_core_enum_value_exists(enum skb_drop_reason, name) &&                                 \
	 (number) == bpf_core_enum_value(enum skb_drop_reason, name))

static __always_inline bool is_drop(__u32 reason)
{
	return !IS_REASON(reason, SKB_NOT_DROPPED_YET) && !IS_REASON(reason, SKB_CONSUMED);
}

/* The number of packets on the wire for which a buffer stands. */
static __always_inline __u32 packets_of(const struct skb_shared_info *shared)
{
	__u32 segments = BPF_CORE_READ(shared, gso_segs);

	return segments ? segments : 1;
}

#endif
