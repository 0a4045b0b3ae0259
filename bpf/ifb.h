/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Recognise packets that an IFB returns. A filter can redirect what an interface sends through an
 * IFB (intermediate functional block), a device that shapes packets and then sends them by the same
 * interface again: they pass its egress hook twice. At ingress the kernel lets a returned packet
 * pass no hook for socket buffers (net/core/dev.c, skb_skip_tc_classify).
 */
#ifndef PKTEXP_IFB_H
#define PKTEXP_IFB_H

struct sk_buff {
	__u8 tc_skip_classify : 1; /* set by an IFB, cleared by the filter that redirected */
} __attribute__((preserve_access_index));

/*
 * Reading the mark of a packet takes 22 ns. It is therefore read only if the packet came by the
 * interface of an IFB, which leaves its ifindex.
 */
static __always_inline bool returned_by_ifb(struct __sk_buff *skb)
{
	if (!config.read_kernel || !bpf_core_field_exists(struct sk_buff, tc_skip_classify))
		return false;
	if (!(ifbs >> (skb->ingress_ifindex & 63) & 1))
		return false;
	return BPF_CORE_READ_BITFIELD_PROBED((struct sk_buff *)skb, tc_skip_classify);
}

#endif
