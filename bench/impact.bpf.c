/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Programs that let everything pass, for impact.py: what a hook costs before anything is counted.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

SEC("xdp.frags") int pass_xdp(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

/* TC_ACT_UNSPEC is TCX_NEXT, which the headers have only since Linux 6.6. */
SEC("tcx/ingress") int pass_tcx(struct __sk_buff *skb __attribute__((unused)))
{
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
