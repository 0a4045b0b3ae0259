/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Counts every packet that an interface receives. For each frame the program finds the interface's
 * slot, parses the headers (parse.h), adds to that slot's counters and, where user space asked for
 * it, sends one packet_info (packet.h) through a ring buffer. Counters never depend on the ring: a
 * record that finds no room is counted as lost, per interface. Every path ends in XDP_PASS, and no
 * byte of a packet is written.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"
#include "parse.h"

/* A section of its own, so that user space sees exactly this struct and nothing beside it. */
SEC(".rodata.config") const volatile struct config config = {};

/* Types that user space relies on, kept in the object's BTF: clang drops what no code names. */
const struct {
	struct packet_info packet_info;
	enum link_type link_type;
	enum direction direction;
	enum link_class link_class;
	enum ip_class ip_class;
	enum packet_class packet_class;
	enum size_group size_group;
	enum size_bound size_bound;
	enum unparsed unparsed;
	enum limit limit;
} *anchor __attribute__((unused));

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

/* The ring buffers, made by user space: their size and number are known only there. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(
	    values, struct {
		    __uint(type, BPF_MAP_TYPE_RINGBUF);
		    __uint(max_entries, 4096);
	    });
} rings SEC(".maps");

/* One ring_wakeup a ring. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ring_wakeup);
} wakeups SEC(".maps");

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

static __always_inline __u32 size_group(__u32 packet_class)
{
	__u32 ip_class = (packet_class - CLASS_IPV4) % (CLASS_IPV6 - CLASS_IPV4);

	if (packet_class < CLASS_IPV4 || ip_class >= SIZE_GROUP_COUNT)
		return SIZE_GROUP_OTHER;
	return ip_class; /* the groups are the first IP classes, in their order */
}

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

static __always_inline void count(struct interface_counters *to, const struct packet_info *info,
				  enum unparsed reason, bool shared)
{
	__u32 packet_class = info->packet_class;
	__u32 bucket = size_group(packet_class) * SIZE_BUCKETS + size_bucket(info->bytes);

	/* Both bounds always hold. The compiler knows; the verifier has to be shown. */
	barrier_var(packet_class);
	barrier_var(bucket);
	if (packet_class < CLASS_COUNT)
		add_tally(&to->classes[packet_class], info->bytes, shared);
	if (bucket < SIZE_GROUP_COUNT * SIZE_BUCKETS)
		add(&to->sizes[bucket], 1, shared);
	if (reason && reason < UNPARSED_COUNT)
		add(&to->unparsed[reason], 1, shared);
}

/*
 * Waking a reader costs its waker microseconds: so it is done once for each time that the reader
 * went to sleep, and when enough has gathered. What gathers more slowly waits for its timer.
 */
static __always_inline __u64 wakeup_flags(void *ring, __u32 index)
{
	struct ring_wakeup *wakeup = bpf_map_lookup_elem(&wakeups, &index);

	if (!wakeup || !wakeup->armed)
		return BPF_RB_NO_WAKEUP;
	if (bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) < config.wakeup_bytes)
		return BPF_RB_NO_WAKEUP;
	wakeup->armed = 0;
	return BPF_RB_FORCE_WAKEUP;
}

/* False if the ring is full. */
static __always_inline bool send(const struct packet_info *info)
{
	__u32 index = bpf_get_smp_processor_id() % config.rings;
	void *ring = bpf_map_lookup_elem(&rings, &index);
	struct packet_info *record;

	if (!ring)
		return false;
	record = bpf_ringbuf_reserve(ring, sizeof(*record), 0);
	if (!record)
		return false;
	*record = *info;
	bpf_ringbuf_submit(record, wakeup_flags(ring, index));
	return true;
}

/* Everything that is done for one packet, whatever the hook. */
static __always_inline void account(struct cursor *c, __u32 ifindex, __u64 bytes,
				    enum direction direction)
{
	struct interface_entry *interface = find_interface(ifindex);
	struct packet_info info = {.packets = 1, .bytes = bytes, .direction = direction};
	struct interface_counters *to;
	enum unparsed reason;
	bool shared;
	__u32 key;

	if (!interface)
		return;
	info.interface = interface->id;
	key = counter_row(&shared) * config.slots + (info.interface & (config.slots - 1));
	to = bpf_map_lookup_elem(&counters, &key);
	if (!to)
		return;
	reason = parse(c, &info, interface->link_type);
	count(to, &info, reason, shared);
	if (config.events && !send(&info))
		add_tally(&to->lost, bytes, shared);
}

/* The length with all buffers of a multi-buffer frame, where the kernel has such frames (5.18). */
static __always_inline __u64 frame_bytes(struct xdp_md *ctx)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_xdp_get_buff_len))
		return bpf_xdp_get_buff_len(ctx);
	return ctx->data_end - ctx->data;
}

SEC("xdp.frags") int count_ingress(struct xdp_md *ctx)
{
	struct cursor c = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};

	account(&c, ctx->ingress_ifindex, frame_bytes(ctx), DIRECTION_INGRESS);
	return XDP_PASS;
}

/* The kernel lends most helpers to GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
