/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Counts the packets that the kernel drops, by interface and reason, at the tracepoint through
 * which all of them go. It sees those of every network namespace of the machine, and knows neither
 * interface nor namespace: both are read out of the packet, as far as it still has them. A packet
 * that can't be told to be of our namespace is not counted.
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

#include "members.h"

enum {
	AF_INET = 2,
	AF_INET6 = 10,
	ELSEWHERE = -1, /* in place of an ifindex: not ours to count */
	NOWHERE = 0,	/* in our namespace, at no interface */
	RECEIVER = 3,	/* the argument that holds the receiving socket */
};

/* Only the names count, as for the structs: a kernel's numbers are in its BTF. */
enum skb_drop_reason {
	SKB_NOT_DROPPED_YET = 1,
	SKB_CONSUMED = 2,
};

#define IS_REASON(number, name)                                                                    \
	(bpf_core_enum_value_exists(enum skb_drop_reason, name) &&                                 \
	 (number) == bpf_core_enum_value(enum skb_drop_reason, name))

/*
 * Netlink and local sockets use the same buffers, and are no packets: a drop without an interface
 * counts only if it was to be sent over IP.
 */
static __always_inline bool is_internet(const struct sock *sk)
{
	__u16 family = sk ? BPF_CORE_READ(sk, __sk_common.skc_family) : 0;

	return family == AF_INET || family == AF_INET6;
}

/*
 * Where a packet was that has no device any more, or not yet. The namespace is that of the socket
 * that was to receive it, or that it was sent from or queued at, or else of its route's device.
 */
static __always_inline int locate_without_device(const struct sk_buff *skb,
						 const struct sock *receiver)
{
	const struct net_device *route = NULL;
	__u32 netns = namespace_of_socket(receiver);

	if (!netns)
		netns = namespace_of_socket(skb->sk);
	if (!netns || !skb->skb_iif)
		route = device_of_route(skb);
	if (!netns && route)
		netns = BPF_CORE_READ(route, nd_net.net, ns.inum);
	if (netns != config.netns)
		return ELSEWHERE;
	if (skb->skb_iif)
		return skb->skb_iif;
	if (route)
		return BPF_CORE_READ(route, ifindex);
	return is_internet(skb->sk) ? NOWHERE : ELSEWHERE;
}

/*
 * The ifindex where the packet was, NOWHERE or ELSEWHERE. A packet at a device is where the device
 * is, whatever else it says: one that has just crossed to another namespace still has the socket
 * that it was sent from (kernel commit 9c4c325252c5, 4.19).
 */
static __always_inline int locate(const struct sk_buff *skb, const struct sock *receiver)
{
	const struct net_device *dev = skb->dev;
	const struct net *net = dev ? dev->nd_net.net : NULL;

	if (net && net->ns.inum == config.netns)
		return dev->ifindex;
	if (net && net->loopback_dev->nd_net.net == net)
		return ELSEWHERE;
	return locate_without_device(skb, receiver);
}

/* How many packets of the wire a buffer stands for. */
static __always_inline __u32 packets_of(const struct skb_shared_info *shared)
{
	__u32 segments = BPF_CORE_READ(shared, gso_segs);

	return segments ? segments : 1;
}

SEC("tp_btf/kfree_skb") int count_drop(__u64 *arguments)
{
	const struct sk_buff *skb = (void *)arguments[0];
	const struct sock *receiver = NULL;
	__u32 reason = arguments[2], interface = 0;
	const struct skb_shared_info *shared;
	int ifindex;

	if (IS_REASON(reason, SKB_NOT_DROPPED_YET) || IS_REASON(reason, SKB_CONSUMED))
		return 0;
	if (is_member(skb))
		return 0;
	if (config.arguments > RECEIVER)
		receiver = (void *)arguments[RECEIVER];
	ifindex = locate(skb, receiver);
	if (ifindex == ELSEWHERE)
		return 0;
	if (ifindex != NOWHERE && !(interface = interface_id(ifindex)))
		return 0;
	shared = (void *)(skb->head + skb->end);
	expect_members(shared);
	count_packets(interface, reason, packets_of(shared));
	return 0;
}

/* The kernel lends most helpers to GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
