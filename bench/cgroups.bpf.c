/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The project's programs at cgroups, and one that does nothing, for cgroups.py.
 */
#include "../bpf/cgroups.bpf.c"

SEC("cgroup_skb/egress") int empty(struct __sk_buff *skb)
{
	(void)skb;
	return ALLOW;
}
