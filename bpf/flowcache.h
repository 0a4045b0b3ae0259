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

/*
 * A flow_record in whole words. On the fast path the words of a packet are registers, and memory is
 * written only when the flow takes a place.
 */
struct flow_words {
	__u64 saddr[2];
	__u64 daddr[2];
	__u64 ends; /* interface, ports */
	__u64 sums; /* packet_class, direction, tcp_flags, padding, packets */
	__u64 bytes;
};

_Static_assert(sizeof(struct flow_words) == sizeof(struct flow_record), "other words");

#define SUMS_KEY 0xffff /* packet_class and direction */
#define SUMS_FLAGS_AT 16
#define SUMS_PACKETS_AT 32

static __always_inline __u64 ends_of(const struct flow_record *flow)
{
	return (__u64)flow->ports << 32 | flow->interface;
}

static __always_inline __u64 sums_of(const struct flow_record *flow)
{
	return (__u64)flow->packets << SUMS_PACKETS_AT | flow->tcp_flags << SUMS_FLAGS_AT |
	       flow->direction << 8 | flow->packet_class;
}

/* The second words of IPv4 addresses are 0. */
static __always_inline bool same_flow(const struct flow_words *slot, const struct flow_record *flow)
{
	return slot->saddr[0] == flow->saddr[0] && slot->ends == ends_of(flow) &&
	       !((slot->sums ^ sums_of(flow)) & SUMS_KEY) && slot->daddr[0] == flow->daddr[0] &&
	       (is_ipv4(flow) ||
		(slot->saddr[1] == flow->saddr[1] && slot->daddr[1] == flow->daddr[1]));
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

static __always_inline bool add_to_slot(struct flow_words *slot, const struct flow_record *flow)
{
	if (!same_flow(slot, flow) || slot->sums >> SUMS_PACKETS_AT >= MAX_SLOT_PACKETS)
		return false;
	slot->sums = (slot->sums | flow->tcp_flags << SUMS_FLAGS_AT) +
		     ((__u64)flow->packets << SUMS_PACKETS_AT);
	slot->bytes += flow->bytes;
	return true;
}

static __always_inline void count_miss(const struct place *at)
{
	struct cache_misses *missed = bpf_map_lookup_elem(&misses, &at->row);

	if (missed)
		missed->packets++;
	mark(at);
}

/*
 * Frees the place of the flow with the fewest packets; NULL if the ring has no room for it. A
 * function of its own, as it would push the registers of a hit to the stack.
 */
static __noinline struct flow_record *evict(struct flow_set *set)
{
	struct flow_record *victim = &set->ways[0].flow;

#pragma unroll
	for (int i = 1; i < FLOW_WAYS; i++)
		if (set->ways[i].flow.packets < victim->packets)
			victim = &set->ways[i].flow;
	return !victim->packets || send(victim) ? victim : NULL;
}

/* False if the flow must replace another, and the ring has no room for that one. */
static __always_inline bool add_to_cache(const struct place *at, const struct flow_record *flow)
{
	struct flow_set *set = find_set(flow, at->row);
	struct flow_words *free;

	if (!set)
		return false;
#pragma unroll
	for (int i = 0; i < FLOW_WAYS; i++)
		if (add_to_slot((void *)&set->ways[i].flow, flow))
			return true;
	count_miss(at);
	free = (void *)evict(set);
	if (!free)
		return false;
	*free = (struct flow_words){
	    .saddr = {flow->saddr[0], flow->saddr[1]},
	    .daddr = {flow->daddr[0], flow->daddr[1]},
	    .ends = ends_of(flow),
	    .sums = sums_of(flow),
	    .bytes = flow->bytes,
	};
	return true;
}

#endif
