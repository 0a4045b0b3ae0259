/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The flow cache: sums of packets by flow, each CPU its own, so that one record goes to user space
 * for many packets (a split key-value store: Narayana et al., SIGCOMM 2017). A flow that finds its
 * set full takes the place of the one with the fewest packets, which goes out through send.h; sums
 * over all records are exact, however often a flow comes and goes.
 *
 * There are two halves. Programs read the epoch once, at their entry, and add to the half that it
 * says; user space turns it, waits until no program that saw the old one runs any more, and has the
 * other half for itself (src/pktexp/kernel/flowcache.py).
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

/* Put together from fields: a CPU can't forward a load from several smaller stores before it. */
static __always_inline __u64 key_word(const struct flow_record *flow, int i)
{
	if (i < 2)
		return flow->saddr[i];
	if (i < 4)
		return flow->daddr[i - 2];
	if (i == 4)
		return (__u64)flow->ports << 32 | flow->interface;
	return (__u64)flow->direction << 8 | flow->packet_class;
}

/*
 * NH (RFC 4418, 5.2.2) on 32-bit words, then multiply-shift (Dietzfelbinger et al., 1997): without
 * the seed nobody can make two keys meet more often than by chance. The products are independent
 * of one another, so that the CPU works on them side by side. Returns 32 bits.
 */
static __always_inline __u64 hash_flow(const struct flow_record *flow)
{
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < FLOW_KEY_WORDS; i++) {
		__u64 word = key_word(flow, i), seed = config.hash_seed[i];
		__u32 low = (__u32)word + (__u32)seed;
		__u32 high = (__u32)(word >> 32) + (__u32)(seed >> 32);

		sum += (__u64)low * high;
	}
	return sum * config.hash_multiplier >> 32;
}

static __always_inline bool same_flow(const struct flow_record *a, const struct flow_record *b)
{
	__u64 difference = 0;

#pragma unroll
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		difference |= key_word(a, i) ^ key_word(b, i);
	return !difference;
}

/* This CPU's set for a flow. Only this CPU writes to it, one program after the other. */
static __always_inline struct flow_set *find_set(const struct flow_record *flow, __u32 cpu)
{
	__u32 set = hash_flow(flow) * config.flow_sets >> 32;
	__u32 index = (cpu * 2 + (epoch & 1)) * config.flow_sets + set;

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
