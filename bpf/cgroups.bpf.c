/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Count packets and bytes by the cgroup of their socket, at the root of cgroup2: the kernel runs
 * these programs for every IP packet that a socket of any network namespace receives or sends, and
 * for no forwarded one. Every path returns ALLOW.
 *
 * src/pktexp/bpf/cgroups.py mirrors the structs and is compared with the object's BTF.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

enum {
	ALLOW = 1,
	WAYS = 8,	    /* ids in a bucket */
	PACKETS_SHIFT = 40, /* of the packets in packed_tally.sum; the bytes are below */
	PATH_SIZE = 512,    /* bytes of a path that is kept */
};

#define HALF_OF_BYTES (1ULL << (PACKETS_SHIFT - 1))
#define HALF_OF_SUM (1ULL << 63)
#define HASH_MULTIPLIER 0x9E3779B97F4A7C15ULL /* 2^64 divided by the golden ratio */

/* Set by user space before loading; the verifier treats them as constants. */
struct cgroup_config {
	__u32 last_row; /* of counters; the others are one for each CPU online at the start */
	__u32 row_size; /* places, and one more for all ids that have none */
	__u32 mask;	/* of the number of a bucket */
};

struct cgroup_bucket {
	__u64 ids[WAYS]; /* 0: free */
};

struct tally {
	__u64 packets;
	__u64 bytes;
};

/*
 * Packets and bytes in one word, so that one atomic addition counts both; two take twice the time.
 * A field that is full carries on, the bytes into the packets. How often each field has crossed a
 * half of its range is counted beside it; from both, user space computes the sums.
 */
struct packed_tally {
	__u64 sum;
	__u32 packet_halves;
	__u32 byte_halves;
};

struct cgroup_counters {
	struct tally ingress;
	struct packed_tally egress;
};

/* What user space knows about a place. */
struct cgroup_place {
	struct tally since[2]; /* ingress, egress: counted before, for earlier ids */
	__u64 id;	       /* whose owner is known */
	__u32 owner;	       /* a lease by number; the last one is that of all others */
	__u32 _pad;
};

/* A path whose cgroups have series of their own. */
struct cgroup_lease {
	char path[PATH_SIZE]; /* relative to the root; empty: free */
	struct tally kept[2]; /* ingress, egress: of ids that have no place any more */
};

/* In a section of its own, so that user space maps it without other data. */
SEC(".rodata.config") const volatile struct cgroup_config config = {};

/*
 * Ids of cgroups. The place of an id here is that of its counters in each row. A cgroup's first
 * packet claims a place; user space frees it when the cgroup is gone.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgroup_bucket);
} cgroup_ids SEC(".maps");

/* By row and place. The last place of a row counts for ids that found none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgroup_counters);
} cgroup_counts SEC(".maps");

/* State of user space, which --pin keeps beside the counters. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgroup_place);
} cgroup_places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgroup_lease);
} cgroup_leases SEC(".maps");

/*
 * Claims a place for an id. Ways are tried in one order, so two CPUs that claim for the same id
 * end in the same way.
 */
static __always_inline __u32 claim(struct cgroup_bucket *bucket, __u64 id)
{
#pragma unroll
	for (__u32 way = 0; way < WAYS; way++) {
		__u64 before = __sync_val_compare_and_swap(&bucket->ids[way], 0, id);

		if (!before || before == id)
			return way;
	}
	return WAYS;
}

/* The place of a cgroup's counters; the last one if the id found none. */
static __always_inline __u32 find_place(__u64 id)
{
	__u32 key = id * HASH_MULTIPLIER >> 32 & (config.mask), way = WAYS;
	struct cgroup_bucket *bucket = bpf_map_lookup_elem(&cgroup_ids, &key);

	if (!bucket || !id)
		return config.row_size - 1;
#pragma unroll
	for (__u32 i = 0; i < WAYS; i++)
		if (bucket->ids[i] == id)
			return key * WAYS + i;
	way = claim(bucket, id);
	return way < WAYS ? key * WAYS + way : config.row_size - 1;
}

/* The counters of a packet's cgroup in this CPU's row; sets *shared if other CPUs use them too. */
static __always_inline struct cgroup_counters *find_counters(struct __sk_buff *skb, bool *shared)
{
	__u32 cpu = bpf_get_smp_processor_id(), last = config.last_row, key;

	*shared = cpu >= last;
	key = (*shared ? last : cpu) * (config.row_size);
	key += find_place(bpf_skb_cgroup_id(skb));
	return bpf_map_lookup_elem(&cgroup_counts, &key);
}

/* The number of packets on the wire for which a buffer stands. */
static __always_inline __u32 packets_of(const struct __sk_buff *skb)
{
	__u32 segments = skb->gso_segs;

	return segments ? segments : 1;
}

/* Counts the halves of a sum's fields that an addition has crossed. */
static __always_inline void count_halves(struct packed_tally *to, __u64 crossed)
{
	if (crossed & HALF_OF_BYTES)
		__sync_fetch_and_add(&to->byte_halves, 1);
	if (crossed & HALF_OF_SUM)
		__sync_fetch_and_add(&to->packet_halves, 1);
}

/* Received packets are counted with softirqs off: on one CPU no run interrupts another. */
SEC("cgroup_skb/ingress") int count_received(struct __sk_buff *skb)
{
	bool shared;
	struct cgroup_counters *to = find_counters(skb, &shared);

	if (!to)
		return ALLOW;
	if (shared) {
		__sync_fetch_and_add(&to->ingress.packets, packets_of(skb));
		__sync_fetch_and_add(&to->ingress.bytes, skb->len);
	} else {
		to->ingress.packets += packets_of(skb);
		to->ingress.bytes += skb->len;
	}
	return ALLOW;
}

/*
 * A process sends with softirqs and preemption on, so another run may come between the load and
 * the store of an addition on the same CPU.
 */
SEC("cgroup_skb/egress") int count_sent(struct __sk_buff *skb)
{
	bool shared;
	struct cgroup_counters *to = find_counters(skb, &shared);
	__u64 more = (__u64)packets_of(skb) << PACKETS_SHIFT | skb->len, before, crossed;

	if (!to)
		return ALLOW;
	before = __sync_fetch_and_add(&to->egress.sum, more);
	crossed = before ^ (before + more);
	if (crossed & (HALF_OF_BYTES | HALF_OF_SUM))
		count_halves(&to->egress, crossed);
	return ALLOW;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
