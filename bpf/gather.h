/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Copy the headers of a socket buffer that are not all in its linear part, which is the part that
 * programs can read. bpf_skb_pull_data would move them there, and so change a buffer that others
 * use.
 */
#ifndef PKTEXP_GATHER_H
#define PKTEXP_GATHER_H

/* Room for the copy, and for one header that begins at its end. */
struct copied_headers {
	__u8 bytes[COPY_BYTES + 64];
};

/* A copy for each CPU that has a row of counters of its own. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct copied_headers);
} copies SEC(".maps");

static __always_inline bool is_linear(struct __sk_buff *skb)
{
	__u64 linear = (void *)(long)skb->data_end - (void *)(long)skb->data;

	barrier_var(linear);
	return linear >= skb->len;
}

/* Puts the cursor at the start of a copy; false if nothing could be copied. */
static __always_inline bool gather(struct __sk_buff *skb, struct cursor *c)
{
	/* One less than the bytes to copy, as before 6.8 the verifier learns nothing from "not 0".
	 * For an empty buffer the helper is asked for more than there is, and fails. */
	__u32 cpu = bpf_get_smp_processor_id(), last = skb->len - 1;
	struct copied_headers *copy = bpf_map_lookup_elem(&copies, &cpu);

	barrier_var(last);
	if (last >= COPY_BYTES)
		last = COPY_BYTES - 1;
	if (!copy || bpf_skb_load_bytes(skb, 0, copy, last + 1))
		return false;
	*c = (struct cursor){copy, copy, copy->bytes + last + 1, true, true};
	return true;
}

#endif
