/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * A sender in the kernel, for throughput.py: live frames of BPF_PROG_TEST_RUN leave by a veth.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pick.h"

SEC(".rodata.out") const volatile __u32 out_ifindex = 0;

SEC("xdp") int send_out(struct xdp_md *ctx)
{
	pick((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	return bpf_redirect(out_ifindex, 0);
}

SEC("xdp.frags") int pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
