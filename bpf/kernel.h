/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The kernel's own structs, as far as drops.bpf.c and retransmits.bpf.c look into them, and whose
 * network namespace a device or a socket is in. Where a field lies is found out when the object is
 * loaded, from the running kernel's BTF.
 *
 * What lies in an skb's `dev`, `sk` or `_skb_refdst` need not be a pointer to such a thing: the
 * fields share their places with others. `dev` shares with what UDP notes of a packet that it
 * queues (dev_scratch), and with a pointer of the trees that TCP and reassembly keep packets in
 * (rbnode). So a device is believed to be one if it leads to a namespace whose loopback device
 * leads back there. Plain loads through `dev` are guarded by the kernel. Others are not on every
 * kernel, as its verifier trusts some pointers and takes an argument for never NULL (until kernel
 * commit 5da7e15fb5a1, 6.14): behind them bpf_probe_read_kernel reads, which faults on nothing.
 */
#ifndef PKTEXP_KERNEL_H
#define PKTEXP_KERNEL_H

enum {
	SKB_DST_NOREF = 1, /* a flag in the lowest bit of _skb_refdst */
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
	struct net_device *loopback_dev;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
};

struct dst_entry {
	struct net_device *dev;
};

struct sock_common {
	unsigned short skc_family;
	possible_net_t skc_net;
};

struct sock {
	struct sock_common __sk_common;
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

/* The namespace's number, which is the inode number of /proc/PID/ns/net; 0 if there is none. */
static __always_inline __u32 namespace_of_socket(const struct sock *sk)
{
	return sk ? BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) : 0;
}

/* The device that a packet's route leads to, or that it came by; NULL if it has no route. */
static __always_inline const struct net_device *device_of_route(const struct sk_buff *skb)
{
	const struct dst_entry *route = (void *)(skb->_skb_refdst & ~(__u64)SKB_DST_NOREF);
	const struct net_device *dev = route ? BPF_CORE_READ(route, dev) : NULL;
	const struct net *net = dev ? BPF_CORE_READ(dev, nd_net.net) : NULL;

	return net && BPF_CORE_READ(net, loopback_dev, nd_net.net) == net ? dev : NULL;
}

#endif
