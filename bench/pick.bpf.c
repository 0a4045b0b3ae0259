/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Picks the flow of each packet, and then runs the program to time in its own place by a tail call:
 * the real programs, as they are loaded, at either hook.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pick.h"

/* One map for each hook, as all programs in such a map are of one type. */
#define TARGET(hook)                                                                               \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY);                                             \
		__uint(max_entries, 1);                                                            \
		__type(key, __u32);                                                                \
		__type(value, __u32);                                                              \
	} hook##_target SEC(".maps")

TARGET(xdp);
TARGET(tcx);

SEC("xdp.frags") int xdp(struct xdp_md *ctx)
{
	pick((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	bpf_tail_call(ctx, &xdp_target, 0);
	return XDP_PASS;
}

SEC("tc") int tcx(struct __sk_buff *skb)
{
	pick((void *)(long)skb->data, (void *)(long)skb->data_end);
	bpf_tail_call(skb, &tcx_target, 0);
	return -1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
