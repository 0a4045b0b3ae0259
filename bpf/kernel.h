/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Structs of the kernel, reduced to the fields that tracing programs read, and the network
 * namespace of a device or socket. libbpf finds the offsets of the fields in the running kernel's
 * BTF when it loads the object.
 *
 * The fields `dev`, `sk` and `_skb_refdst` of an skb share their memory with other fields, and need
 * not hold such a pointer. `dev` shares with UDP's notes on a queued packet (dev_scratch), and with
 * a pointer of the trees in which TCP and reassembly keep packets (rbnode). A device is therefore
 * trusted only if it leads to a namespace whose loopback device leads back to that namespace.
 *
 * The kernel guards plain loads through `dev`. It does not guard all others: its verifier trusts
 * some pointers, and assumes that an argument is never NULL (until kernel commit 5da7e15fb5a1,
 * 6.14). These are read by bpf_probe_read_kernel, which never faults.
 */
#ifndef PKTEXP_KERNEL_H
#define PKTEXP_KERNEL_H

enum {
	SKB_DST_NOREF = 1,	  /* a flag in the lowest bit of _skb_refdst */
	NETDEV_HASHENTRIES = 256, /* include/linux/netdevice.h */
	LONGEST_CHAIN = 64,	  /* devices that device_by_index looks at */
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct net {
	struct ns_common ns;
	struct net_device *loopback_dev;
	struct hlist_head *dev_index_head;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	char name[INTERFACE_NAME];
	struct hlist_node index_hlist;
	int ifindex;
	possible_net_t nd_net;
};

struct dst_entry {
	struct net_device *dev;
};

struct sock_common {
	unsigned short skc_family;
	unsigned char skc_state;
	possible_net_t skc_net;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
	struct dst_entry *sk_dst_cache;
};

struct sk_buff {
	struct sk_buff *next;
	struct net_device *dev;
	struct sock *sk;
	char cb[48];
	unsigned long _skb_refdst;
	int skb_iif;
	unsigned int end;
	unsigned char *head;
};

typedef struct {
	int counter;
} atomic_t;

struct skb_shared_info {
	unsigned short gso_segs;
	struct sk_buff *frag_list;
	atomic_t dataref;
};

struct tcp_skb_cb {
	__u16 tcp_gso_segs;
};

#pragma clang attribute pop

/* The number of a namespace, as the inode of /proc/PID/ns/net; 0 for NULL. */
static __always_inline __u32 number_of(const struct net *net)
{
	return net ? BPF_CORE_READ(net, ns.inum) : 0;
}

/* The namespace of a socket; NULL without a socket. */
static __always_inline const struct net *namespace_of_socket(const struct sock *sk)
{
	const struct net *net = sk ? BPF_CORE_READ(sk, __sk_common.skc_net.net) : NULL;

	return number_of(net) ? net : NULL;
}

/* The device to which a packet's route leads, or by which it came; NULL without a route. */
static __always_inline const struct net_device *device_of_route(const struct sk_buff *skb)
{
	const struct dst_entry *route = (void *)(skb->_skb_refdst & ~(__u64)SKB_DST_NOREF);
	const struct net_device *dev = route ? BPF_CORE_READ(route, dev) : NULL;
	const struct net *net = dev ? BPF_CORE_READ(dev, nd_net.net) : NULL;

	return net && BPF_CORE_READ(net, loopback_dev, nd_net.net) == net ? dev : NULL;
}

/*
 * The device that has an ifindex, from the namespace's hash table of devices (dev_index_hash() in
 * net/core/dev.c, 5.15 to 6.18); NULL if none is found.
 */
static __always_inline const struct net_device *device_by_index(const struct net *net, int ifindex)
{
	const struct hlist_node *node = NULL;
	const struct hlist_head *heads;

	if (bpf_core_field_exists(struct net, dev_index_head)) {
		heads = BPF_CORE_READ(net, dev_index_head);
		node = BPF_CORE_READ(&heads[ifindex & (NETDEV_HASHENTRIES - 1)], first);
	}
	for (int i = 0; node && i < LONGEST_CHAIN; i++) {
		const struct net_device *dev =
		    (void *)node - bpf_core_field_offset(struct net_device, index_hlist);

		if (BPF_CORE_READ(dev, ifindex) == ifindex)
			return dev;
		node = BPF_CORE_READ(node, next);
	}
	return NULL;
}

#endif
