/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Somebody else's program at the same hook, for test_neighbours.py: it drops UDP to one port.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PORT 5555

SEC("tc") int drop_port(struct __sk_buff *skb)
{
	struct {
		struct ethhdr eth;
		struct iphdr ip;
		struct udphdr udp;
	} __attribute__((packed)) headers;

	if (bpf_skb_load_bytes(skb, 0, &headers, sizeof(headers)))
		return TC_ACT_UNSPEC;
	if (headers.ip.protocol == IPPROTO_UDP && headers.udp.dest == bpf_htons(PORT))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
