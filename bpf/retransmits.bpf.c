/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Count retransmitted TCP segments by the interface of the connection's route. The tracepoint fires
 * for every network namespace of the machine; only segments of ours are counted.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"

#include "cells.h"
#include "kernel.h"

#include "leased.h"

enum {
	RESULT = 2, /* the argument that holds 0 or an error */
	NO_REASON = 0,
};

static __always_inline __u32 segments_of(const struct sk_buff *skb)
{
	const struct tcp_skb_cb *control = (void *)&skb->cb;
	__u32 segments = BPF_CORE_READ(control, tcp_gso_segs);

	return segments ? segments : 1;
}

SEC("tp_btf/tcp_retransmit_skb") int count_retransmit(__u64 *arguments)
{
	const struct sock *sk = (void *)arguments[0];
	const struct net_device *dev;
	__u32 ifindex, interface = 0;

	/* Since 6.17 the tracepoint also fires for failed attempts (kernel commit ad892e912b84). */
	if (config.arguments > RESULT && (int)arguments[RESULT])
		return 0;
	if (number_of(namespace_of_socket(sk)) != config.netns)
		return 0;
	dev = BPF_CORE_READ(sk, sk_dst_cache, dev);
	ifindex = dev ? BPF_CORE_READ(dev, ifindex) : 0;
	if (ifindex && !(interface = lease_id(ifindex, dev)))
		return 0;
	count_packets(interface, NO_REASON, segments_of((void *)arguments[1]));
	return 0;
}

/* The kernel gives most helpers to GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
