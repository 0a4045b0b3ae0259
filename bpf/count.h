/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Exact totals: find the slot of an interface, and add to its counters.
 */
#ifndef PKTEXP_COUNT_H
#define PKTEXP_COUNT_H

#include "interfaces.h"

/*
 * Chunks of counters: each has those of CHUNK_SLOTS slots, by CPU, slot and direction. User space
 * creates a chunk when an interface needs a slot in it. Chunks are mapped, so that a scrape reads
 * them without a system call. They have a row for each CPU that is online at the start; a
 * PERCPU_ARRAY would use memory for every possible CPU. CPUs that come online later share the next
 * row and add to it atomically. A last row belongs to user space.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(
	    values, struct {
		    __uint(type, BPF_MAP_TYPE_ARRAY);
		    __uint(map_flags, BPF_F_MMAPABLE);
		    __uint(max_entries, 1);
		    __uint(key_size, sizeof(__u32));
		    __uint(value_size, sizeof(struct interface_counters));
	    });
} counters SEC(".maps");

/* The place of a packet's counters. */
struct place {
	struct interface_counters *counters;
	__u32 id; /* interface_entry.id */
	__u32 link_type;
	__u32 row;   /* this CPU's */
	bool shared; /* with other CPUs */
};

/* Finds the counters of an interface and direction; false if it is not counted. */
static __always_inline bool find_place(struct place *place, __u32 ifindex, enum direction direction)
{
	struct interface_entry *interface = find_interface(ifindex);
	__u32 cpu = bpf_get_smp_processor_id(), last = config.counter_rows - 1, slot, key;
	void *chunk;

	if (!interface)
		return false;
	place->id = interface->id;
	place->link_type = interface->link_type;
	place->shared = cpu >= last;
	place->row = place->shared ? last : cpu;
	slot = place->id & (config.slots - 1);
	key = slot / CHUNK_SLOTS;
	chunk = bpf_map_lookup_elem(&counters, &key);
	if (!chunk)
		return false;
	key = (place->row * CHUNK_SLOTS + slot % CHUNK_SLOTS) * DIRECTION_COUNT + direction;
	place->counters = bpf_map_lookup_elem(chunk, &key);
	return place->counters;
}

static __always_inline void add(__u64 *counter, __u64 n, bool shared)
{
	if (shared)
		__sync_fetch_and_add(counter, n);
	else
		*counter += n;
}

/*
 * Marks that an interface's counters change, on this CPU. Packets that are added to a flow in the
 * cache need no mark: the flow's first packet since the latest drain has made one.
 */
static __always_inline void mark(const struct place *at)
{
	add(&at->counters->marks, 1, at->shared);
}

static __always_inline void add_tally(struct tally *tally, __u64 packets, __u64 bytes, bool shared)
{
	add(&tally->packets, packets, shared);
	add(&tally->bytes, bytes, shared);
}

/* The first bucket of a group of classes. */
#define SIZES(group) (SIZE_GROUP_##group * SIZE_BUCKETS)

static const __u8 sizes_of[CLASS_COUNT] = {
    [CLASS_IPV4 + IP_CLASS_TCP] = SIZES(TCP),	[CLASS_IPV4 + IP_CLASS_UDP] = SIZES(UDP),
    [CLASS_IPV4 + IP_CLASS_ICMP] = SIZES(ICMP), [CLASS_IPV4 + IP_CLASS_ICMPV6] = SIZES(ICMPV6),
    [CLASS_IPV6 + IP_CLASS_TCP] = SIZES(TCP),	[CLASS_IPV6 + IP_CLASS_UDP] = SIZES(UDP),
    [CLASS_IPV6 + IP_CLASS_ICMP] = SIZES(ICMP), [CLASS_IPV6 + IP_CLASS_ICMPV6] = SIZES(ICMPV6),
};

static __always_inline __u32 size_bucket(__u64 bytes)
{
	if (bytes <= SIZE_BOUND_3) {
		if (bytes <= SIZE_BOUND_1)
			return bytes <= SIZE_BOUND_0 ? 0 : 1;
		return bytes <= SIZE_BOUND_2 ? 2 : 3;
	}
	if (bytes <= SIZE_BOUND_5)
		return bytes <= SIZE_BOUND_4 ? 4 : 5;
	if (bytes <= SIZE_BOUND_7)
		return bytes <= SIZE_BOUND_6 ? 6 : 7;
	if (bytes <= SIZE_BOUND_8)
		return 8;
	return bytes <= SIZE_BOUND_9 ? 9 : 10;
}

static __always_inline void count_size(struct interface_counters *to, __u32 packet_class,
				       __u64 packets, __u64 bytes, bool shared)
{
	__u32 bucket = sizes_of[packet_class] + size_bucket(bytes);

	/* The bound always holds; the check shows it to the verifier. */
	if (bucket < SIZE_GROUP_COUNT * SIZE_BUCKETS)
		add(&to->sizes[bucket], packets, shared);
}

static __always_inline void count_sizes(struct interface_counters *to, __u32 packet_class,
					const struct packet *p, __u32 segments, __u64 bytes,
					bool shared)
{
	__u64 full = segments - 1;

	if (full)
		count_size(to, packet_class, full, p->segment_bytes, shared);
	count_size(to, packet_class, 1, full ? bytes - full * p->segment_bytes : bytes, shared);
}

/* Adds to the counter of each bit that is set. */
static __always_inline void count_bits(__u64 *counters, __u32 bits, __u32 count, __u64 packets,
				       bool shared)
{
	for (__u32 i = 0; i < count; i++)
		if (bits & 1U << i)
			add(&counters[i], packets, shared);
}

static __always_inline void count_icmp_type(struct interface_counters *to, __u32 type, bool shared)
{
	barrier_var(type); /* as in count_size */
	if (type < ICMP_TYPE_COUNT)
		add(&to->icmp_types[type], 1, shared);
}

/* A packet that is counted as IP and has no addresses is in the flow of all others without. */
static __always_inline void count_unparsed(struct interface_counters *to, struct flow_record *flow,
					   __u32 reason, bool shared)
{
	if (reason & NO_ADDRESSES)
		flow->packet_class = CLASS_LINK + LINK_CLASS_OTHER;
	reason &= ~NO_ADDRESSES;
	barrier_var(reason); /* as in count_size */
	if (reason < UNPARSED_COUNT)
		add(&to->unparsed[reason], 1, shared);
}

static __always_inline void count(struct interface_counters *to, struct flow_record *flow,
				  const struct packet *p, __u32 segments, enum unparsed reason,
				  bool shared)
{
	__u32 packet_class = flow->packet_class;

	barrier_var(packet_class);
	if (packet_class >= CLASS_COUNT)
		return;
	add_tally(&to->classes[packet_class], segments, flow->bytes, shared);
	count_sizes(to, packet_class, p, segments, flow->bytes, shared);
	if (!p->rare && !reason)
		return;
	count_bits(to->traits, p->traits, TRAIT_COUNT, segments, shared);
	if (p->icmp_type)
		count_icmp_type(to, p->icmp_type, shared);
	if (reason)
		count_unparsed(to, flow, reason, shared);
}

#endif
