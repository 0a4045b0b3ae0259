/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The flow cache: each CPU sums packets by flow, so that one record stands for many packets (a
 * split key-value store: Narayana et al., SIGCOMM 2017). If a flow's set is full, the flow with the
 * fewest packets is sent (send.h) and replaced. Sums over all records are exact, however often that
 * happens to a flow.
 *
 * The cache has two halves. A program reads the epoch once, and adds to the half that it selects.
 * User space changes the epoch, waits for all programs that saw the old one, and then reads and
 * clears the other half (src/pktexp/bpf/flowcache.py).
 */
#ifndef PKTEXP_FLOWCACHE_H
#define PKTEXP_FLOWCACHE_H

/* A slot is sent at this number of packets, before its sums can overflow. */
#define MAX_SLOT_PACKETS (1U << 31)

/* Sets by CPU, half and hash; mapped, so that user space reads them without a system call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_set);
} flows SEC(".maps");

/* By CPU; mapped, so that user space skips the CPUs on which no flow has come. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cache_misses);
} misses SEC(".maps");

/* A term of NH: two 32-bit words of a key, each added to a word of the seed. */
static __always_inline __u64 nh(__u32 a, __u32 b, __u64 seed)
{
	return (__u64)(__u32)(a + (__u32)seed) * (__u32)(b + (__u32)(seed >> 32));
}

/*
 * A hash of 32 bits for a flow: NH (RFC 4418, 5.2.2) over its key, then multiply-shift
 * (Dietzfelbinger et al., 1997). Keys chosen without the seed collide no more often than by chance.
 * Both functions are linear in a single address, and addresses are often consecutive, hence the
 * fold between the two. Words that are 0 except in IPv6 are hashed for IPv6 only. The terms are
 * independent, so that the CPU computes them in parallel.
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
 * This CPU's set for a flow. Programs run with softirqs disabled, and therefore one after another
 * on a CPU: no other program writes to the set until the epoch changes.
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

static __always_inline void count_miss(const struct place *at)
{
	struct cache_misses *missed = bpf_map_lookup_elem(&misses, &at->row);

	if (missed)
		missed->packets++;
	mark(at);
}

/* False if the flow must replace another, and the ring has no room for that one. */
static __always_inline bool add_to_cache(const struct place *at, const struct flow_record *flow)
{
	struct flow_set *set = find_set(flow, at->row);
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
	count_miss(at);
	if (victim->packets && !send(victim))
		return false;
	*victim = *flow;
	return true;
}

#endif
