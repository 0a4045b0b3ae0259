/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The flow cache: sums of packets by flow, each CPU its own, so that one record goes to user space
 * for many packets (a split key-value store: Narayana et al., SIGCOMM 2017). A flow that finds its
 * set full takes the place of the one with the fewest packets, which goes out through send.h; sums
 * over all records are exact, however often a flow comes and goes.
 *
 * There are two halves. Programs read the epoch once, at their entry, and add to the half that it
 * says; user space turns it, waits until no program that saw the old one runs any more, and has the
 * other half for itself (src/pktexp/bpf/flowcache.py).
 */
#ifndef PKTEXP_FLOWCACHE_H
#define PKTEXP_FLOWCACHE_H

/* A slot's sums are sent before they could overflow. */
#define MAX_SLOT_PACKETS (1U << 31)

/* Sets by CPU, half, and hash; mapped, so that user space drains it without a system call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_set);
} flows SEC(".maps");

/* One term of NH: two 32-bit words of a key, each with a word of the seed. */
static __always_inline __u64 nh(__u32 a, __u32 b, __u64 seed)
{
	return (__u64)(__u32)(a + (__u32)seed) * (__u32)(b + (__u32)(seed >> 32));
}

/*
 * 32 bits for a flow: NH (RFC 4418, 5.2.2) over its key, then multiply-shift (Dietzfelbinger et
 * al., 1997). Without the seed nobody can make two keys meet more often than by chance. Both are
 * linear in an address alone, and addresses often come one after another: hence the fold between
 * them. What is always 0 but for IPv6 is left out elsewhere; no term waits for another.
 */
static __always_inline __u64 hash_flow(const struct flow_record *flow)
{
	__u64 sum = nh(flow->saddr[0], flow->daddr[0], config.hash_seed[0]) +
		    nh(flow->interface, flow->ports, config.hash_seed[1]) +
		    nh(flow->packet_class, flow->direction, config.hash_seed[2]);

	if (flow->packet_class >= CLASS_IPV6)
		sum += nh(flow->saddr[0] >> 32, flow->daddr[0] >> 32, config.hash_seed[3]) +
		       nh(flow->saddr[1], flow->daddr[1], config.hash_seed[4]) +
		       nh(flow->saddr[1] >> 32, flow->daddr[1] >> 32, config.hash_seed[5]);
	sum ^= sum >> 32;
	return sum * config.hash_multiplier >> 32;
}

static __always_inline bool same_flow(const struct flow_record *a, const struct flow_record *b)
{
	return a->saddr[0] == b->saddr[0] && a->daddr[0] == b->daddr[0] && a->ports == b->ports &&
	       a->interface == b->interface && a->packet_class == b->packet_class &&
	       a->direction == b->direction && a->saddr[1] == b->saddr[1] &&
	       a->daddr[1] == b->daddr[1];
}

/*
 * This CPU's set for a flow. Programs run with softirqs off, and so on one CPU one after another:
 * nobody else writes to it until the epoch turns.
 */
static __always_inline struct flow_set *find_set(const struct flow_record *flow, __u32 cpu)
{
	__u32 sets = config.flow_sets;
	__u32 index = (cpu * 2 + (epoch & 1)) * sets + (__u32)(hash_flow(flow) * sets >> 32);

	return bpf_map_lookup_elem(&flows, &index);
}

static __always_inline bool add_to_slot(struct flow_record *slot, const struct flow_record *flow)
{
	if (!same_flow(slot, flow) || slot->packets >= MAX_SLOT_PACKETS)
		return false;
	slot->packets += flow->packets;
	slot->bytes += flow->bytes;
	slot->tcp_flags |= flow->tcp_flags;
	return true;
}

/* False if the flow needs the place of another, and the ring has no room for that one. */
static __always_inline bool add_to_cache(const struct flow_record *flow, __u32 cpu)
{
	struct flow_set *set = find_set(flow, cpu);
	struct flow_record *victim;

	if (!set)
		return false;
	victim = &set->ways[0].flow;
#pragma unroll
	for (int i = 0; i < FLOW_WAYS; i++) {
		struct flow_record *slot = &set->ways[i].flow;

		if (add_to_slot(slot, flow))
			return true;
		if (slot->packets < victim->packets)
			victim = slot;
	}
	if (victim->packets && !send(victim))
		return false;
	*victim = *flow;
	return true;
}

#endif
