/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Count the packets that the kernel drops, by interface and reason, at the tracepoint that fires
 * for each of them. It fires for every network namespace of the machine, without naming interface
 * or namespace: both are read from the packet, as far as it still has them. A packet is counted
 * only if it is known to be of our namespace.
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
#include "members.h"
#include "reasons.h"

enum {
	AF_INET = 2,
	AF_INET6 = 10,
	ELSEWHERE = -1, /* in place of an ifindex: not in our namespace */
	NOWHERE = 0,	/* in place of an ifindex: in our namespace, at no interface */
};

/*
 * Netlink and local sockets use the same buffers for data that are no packets. A drop without an
 * interface therefore counts only if its socket is an IP socket.
 */
static __always_inline bool is_internet(const struct sock *sk)
{
	__u16 family = sk ? BPF_CORE_READ(sk, __sk_common.skc_family) : 0;

	return family == AF_INET || family == AF_INET6;
}

/*
 * Locates a packet that has no device yet or no longer. Its namespace is that of the receiving
 * socket, else of the socket that sent or queued it, else of its route's device.
 */
static __always_inline int locate_without_device(const struct sk_buff *skb,
						 const struct sock *receiver,
						 const struct net_device **dev)
{
	const struct net *net = namespace_of_socket(receiver);
	int ifindex = skb->skb_iif;

	if (!net)
		net = namespace_of_socket(skb->sk);
	if (!net || !ifindex)
		*dev = device_of_route(skb);
	if (!net && *dev)
		net = BPF_CORE_READ(*dev, nd_net.net);
	if (number_of(net) != config.netns)
		return ELSEWHERE;
	if (ifindex) {
		*dev = device_by_index(net, ifindex);
		return ifindex;
	}
	if (*dev)
		return BPF_CORE_READ(*dev, ifindex);
	return is_internet(skb->sk) ? NOWHERE : ELSEWHERE;
}

/*
 * Returns the ifindex of the packet, NOWHERE or ELSEWHERE, and sets *dev to the interface if it is
 * known. The device decides if there is one: a packet that has just crossed to another namespace
 * still has the socket that sent it (kernel commit 9c4c325252c5, 4.19).
 */
static __always_inline int locate(const struct sk_buff *skb, const struct sock *receiver,
				  const struct net_device **dev)
{
	const struct net_device *own = skb->dev;
	const struct net *net = own ? own->nd_net.net : NULL;

	*dev = NULL;
	if (net && net->ns.inum == config.netns) {
		*dev = own;
		return own->ifindex;
	}
	if (net && net->loopback_dev->nd_net.net == net)
		return ELSEWHERE;
	return locate_without_device(skb, receiver, dev);
}

SEC("tp_btf/kfree_skb") int count_drop(__u64 *arguments)
{
	const struct sk_buff *skb = (void *)arguments[0];
	const struct sock *receiver = NULL;
	__u32 reason = arguments[2], interface = 0;
	const struct skb_shared_info *shared;
	const struct net_device *dev;
	int ifindex;

	if (!is_drop(reason) || is_member(skb))
		return 0;
	if (config.arguments > RECEIVER)
		receiver = (void *)arguments[RECEIVER];
	ifindex = locate(skb, receiver, &dev);
	if (ifindex == ELSEWHERE)
		return 0;
	if (ifindex != NOWHERE && !(interface = lease_id(ifindex, dev)))
		return 0;
	shared = (void *)(skb->head + skb->end);
	expect_members(shared);
	count_packets(interface, reason, packets_of(shared));
	return 0;
}

/* The kernel gives most helpers to GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
