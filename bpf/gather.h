/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Headers of a socket buffer that do not all lie in its linear part, where programs may read: they
 * are copied out. (bpf_skb_pull_data would move them into it, and so change the buffer of others.)
 * Used by the skb programs of packet.bpf.c.
 */
#ifndef PKTEXP_GATHER_H
#define PKTEXP_GATHER_H

/* Room for the copy, and for the one header that begins where it ends (inside_copy). */
struct copied_headers {
	__u8 bytes[COPY_BYTES + 64];
};

/* One for each CPU that counts in a row of its own. */
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
	__u32 cpu = bpf_get_smp_processor_id(), size = skb->len;
	struct copied_headers *copy = bpf_map_lookup_elem(&copies, &cpu);

	if (size > COPY_BYTES)
		size = COPY_BYTES;
	if (!copy || !size || bpf_skb_load_bytes(skb, 0, copy, size))
		return false;
	*c = (struct cursor){copy, copy, copy->bytes + size, true, true};
	return true;
}

#endif
