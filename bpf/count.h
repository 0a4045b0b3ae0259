/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Exact totals: which slot an interface's packets are counted in, and the counters themselves. Used
 * by packet.bpf.c for every packet, and by flowcache.h and send.h for what they lose.
 */
#ifndef PKTEXP_COUNT_H
#define PKTEXP_COUNT_H

/* ifindex -> slot. Four ways a bucket, as ifindexes are handed out one after another. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct interface_bucket);
} interfaces SEC(".maps");

/*
 * Counters, a row of slots for each CPU: mapped, so that a scrape reads them without a system call,
 * and sized by the CPUs that are there (a PERCPU_ARRAY takes memory for every possible one). A CPU
 * that comes online later adds to the last row, which all such CPUs share, with atomics.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct interface_counters);
} counters SEC(".maps");

static __always_inline struct interface_entry *find_interface(__u32 ifindex)
{
	__u32 key = ifindex & (config.slots - 1);
	struct interface_bucket *bucket = bpf_map_lookup_elem(&interfaces, &key);

	if (!bucket)
		return NULL;
#pragma unroll
	for (int i = 0; i < INTERFACE_WAYS; i++)
		if (bucket->ways[i].ifindex == ifindex)
			return &bucket->ways[i];
	return NULL;
}

/* This CPU's row, and whether it is shared with others. */
static __always_inline __u32 counter_row(bool *shared)
{
	__u32 cpu = bpf_get_smp_processor_id();

	*shared = cpu >= config.counter_rows - 1;
	return *shared ? config.counter_rows - 1 : cpu;
}

static __always_inline void add(__u64 *counter, __u64 n, bool shared)
{
	if (shared)
		__sync_fetch_and_add(counter, n);
	else
		*counter += n;
}

static __always_inline void add_tally(struct tally *tally, __u64 bytes, bool shared)
{
	add(&tally->packets, 1, shared);
	add(&tally->bytes, bytes, shared);
}

static const __u8 size_group_of[CLASS_COUNT] = {
    [CLASS_IPV4 + IP_CLASS_TCP] = SIZE_GROUP_TCP,
    [CLASS_IPV4 + IP_CLASS_UDP] = SIZE_GROUP_UDP,
    [CLASS_IPV4 + IP_CLASS_ICMP] = SIZE_GROUP_ICMP,
    [CLASS_IPV4 + IP_CLASS_ICMPV6] = SIZE_GROUP_ICMPV6,
    [CLASS_IPV6 + IP_CLASS_TCP] = SIZE_GROUP_TCP,
    [CLASS_IPV6 + IP_CLASS_UDP] = SIZE_GROUP_UDP,
    [CLASS_IPV6 + IP_CLASS_ICMP] = SIZE_GROUP_ICMP,
    [CLASS_IPV6 + IP_CLASS_ICMPV6] = SIZE_GROUP_ICMPV6,
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

static __always_inline void count(struct interface_counters *to, const struct flow_record *flow,
				  enum unparsed reason, bool shared)
{
	__u32 packet_class = flow->packet_class, bucket;

	/* Both bounds always hold. The compiler knows; the verifier has to be shown. */
	barrier_var(packet_class);
	if (packet_class >= CLASS_COUNT)
		return;
	add_tally(&to->classes[packet_class], flow->bytes, shared);
	bucket = size_group_of[packet_class] * SIZE_BUCKETS + size_bucket(flow->bytes);
	if (bucket < SIZE_GROUP_COUNT * SIZE_BUCKETS)
		add(&to->sizes[bucket], 1, shared);
	if (reason && reason < UNPARSED_COUNT)
		add(&to->unparsed[reason], 1, shared);
}

#endif
