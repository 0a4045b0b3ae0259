/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Count packets by TCP flag, with one addition for the combinations that nearly all packets have.
 */
#ifndef PKTEXP_TCPFLAGS_H
#define PKTEXP_TCPFLAGS_H

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_CWR 0x80

#define COMBINATION(n) [TCP_COMBINATION_##n] = n + 1

/* The number of a combination plus one; 0 for all that are not common. */
static const __u8 combination_of[256] = {
    COMBINATION(0), COMBINATION(1), COMBINATION(2),  COMBINATION(3),
    COMBINATION(4), COMBINATION(5), COMBINATION(6),  COMBINATION(7),
    COMBINATION(8), COMBINATION(9), COMBINATION(10), COMBINATION(11),
};

static __always_inline void count_combination(struct interface_counters *to, __u8 flags,
					      __u64 packets, bool shared)
{
	/* For 0 the place is far outside. One comparison covers both bounds, as the verifier
	 * before 6.8 learns nothing from "not 0" (d028f87517d6). */
	__u32 place = (__u32)combination_of[flags] - 1;

	barrier_var(place); /* keeps the comparison, which shows the verifier the bounds */
	if (place < TCP_COMBINATIONS)
		add(&to->tcp_combinations[place], packets, shared);
	else
		count_bits(to->tcp_flags, flags, TCP_FLAGS, packets, shared);
}

/* In a large segment only the first packet has CWR, the last FIN and PSH (tcp_gso_segment). */
static __always_inline void count_tcp_flags(struct interface_counters *to, __u8 flags,
					    __u32 segments, bool shared)
{
	if (segments == 1) {
		count_combination(to, flags, 1, shared);
		return;
	}
	count_combination(to, flags & ~(TCP_FIN | TCP_PSH), 1, shared);
	count_combination(to, flags & ~(TCP_FIN | TCP_PSH | TCP_CWR), segments - 2, shared);
	count_combination(to, flags & ~TCP_CWR, 1, shared);
}

#endif
