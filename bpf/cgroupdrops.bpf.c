/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Count the packets that the kernel drops by the cgroup of their socket and by reason, in all
 * network namespaces: the receiving socket's, else that of the socket which sent the packet. A
 * packet without a socket is nobody's.
 *
 * src/pktexp/bpf/cgroupdrops.py mirrors the structs and is compared with the object's BTF.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"

#include "cell.h"
#include "kernel.h"

#include "members.h"
#include "reasons.h"

enum {
	TCP_TIME_WAIT = 6,     /* states of sockets that are too small to have a cgroup */
	TCP_NEW_SYN_RECV = 12, /* (include/net/tcp_states.h, 4.4) */
	AF_INET = 2,
	AF_INET6 = 10,
};

/* Set by user space before loading. */
struct cgroup_drop_config {
	__u32 arguments; /* number of arguments that the tracepoint has on this kernel */
};

struct cgroup_cell_key {
	__u64 cgroup;
	__u32 reason;
	__u32 _pad;
};

SEC(".rodata.config") const volatile struct cgroup_drop_config config = {};

/* A cell is created by its first packet; user space removes cells of cgroups that are gone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct cgroup_cell_key);
	__type(value, __u64);
} cells SEC(".maps");

/* Packets counted in no cell, as the map was full. */
SEC(".data.overflow") __u64 overflow = 0;

/* The id of an IP socket's cgroup; 0 without a socket, or if the socket has none. */
static __always_inline __u64 cgroup_of(const struct sock *sk)
{
	__u16 family = sk ? BPF_CORE_READ(sk, __sk_common.skc_family) : 0;
	__u8 state = sk ? BPF_CORE_READ(sk, __sk_common.skc_state) : 0;

	if (family != AF_INET && family != AF_INET6)
		return 0;
	if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV)
		return 0;
	return BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id);
}

SEC("tp_btf/kfree_skb") int count_cgroup_drop(__u64 *arguments)
{
	const struct sk_buff *skb = (void *)arguments[0];
	const struct skb_shared_info *shared;
	__u32 reason = arguments[2];
	struct cgroup_cell_key key = {.reason = reason};

	if (!is_drop(reason) || is_member(skb))
		return 0;
	if (config.arguments > RECEIVER)
		key.cgroup = cgroup_of((void *)arguments[RECEIVER]);
	if (!key.cgroup)
		key.cgroup = cgroup_of(skb->sk);
	shared = (void *)(skb->head + skb->end);
	expect_members(shared);
	if (key.cgroup)
		add_to_cell(&cells, &key, &overflow, packets_of(shared));
	return 0;
}

/* The kernel gives most helpers to GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
