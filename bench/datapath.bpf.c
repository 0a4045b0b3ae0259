/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The project's programs and the usual alternatives to them, each over the same packets, for
 * datapath.py.
 */
#include "../bpf/packet.bpf.c"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct interface_counters);
} percpu_counters SEC(".maps");

/* Flows by all that tells them apart, as most exporters keep them; sized by datapath.py. */
struct flow_key {
	__u64 saddr[2];
	__u64 daddr[2];
	__u32 interface;
	__u32 ports;
	__u64 packet_class;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow_key);
	__type(value, struct tally);
} percpu_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow_key);
	__type(value, struct tally);
} lru_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} perf SEC(".maps");

/* What most of those that follow share: a flow as the real program has it. */
static __always_inline enum unparsed parse_frame(struct xdp_md *ctx, struct flow_record *flow,
						 struct packet *p)
{
	enum unparsed reason;
	struct cursor c;

	barrier_var(flow);
	barrier_var(p);
	c.start = c.pos = (void *)(long)ctx->data;
	c.end = (void *)(long)ctx->data_end;
	c.copied = c.large = false;
	flow->packets = p->segments = 1;
	flow->bytes = frame_bytes(ctx);
	flow->interface = 1;
	reason = parse(&c, flow, p, LINK_ETHERNET);
	barrier_var(reason);
	return reason;
}

static __always_inline void add_to_map(void *map, struct flow_record *flow)
{
	struct tally first = {.packets = 1, .bytes = flow->bytes}, *found;
	struct flow_key key = {
	    .saddr = {flow->saddr[0], flow->saddr[1]},
	    .daddr = {flow->daddr[0], flow->daddr[1]},
	    .interface = flow->interface,
	    .ports = flow->ports,
	    .packet_class = flow->packet_class,
	};

	found = bpf_map_lookup_elem(map, &key);
	if (found)
		add_tally(found, 1, flow->bytes, map == &lru_hash); /* which CPUs share */
	else
		bpf_map_update_elem(map, &key, &first, BPF_ANY);
}

SEC("xdp.frags") int empty_xdp(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

SEC("tc") int empty_tcx(struct __sk_buff *skb)
{
	(void)skb;
	return NEXT;
}

/* Has a flow computed, in registers. */
static __always_inline void keep(const struct flow_record *flow)
{
	__u64 words[] = {flow->saddr[0], flow->daddr[0], flow->saddr[1], flow->daddr[1]};

	barrier_var(words[0]);
	barrier_var(words[1]);
	barrier_var(words[2]);
	barrier_var(words[3]);
	words[0] = ends_of(flow);
	words[1] = sums_of(flow);
	words[2] = flow->bytes;
	barrier_var(words[0]);
	barrier_var(words[1]);
	barrier_var(words[2]);
}

SEC("xdp.frags") int parse_xdp(struct xdp_md *ctx)
{
	void *start = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct flow_record plain = {}, flow = {};
	struct packet p = {};
	__u32 told;

	if (parse_plain_ipv4(start, end, &plain, &told)) {
		plain.bytes = plain_bytes(ctx, told);
		keep(&plain);
	} else if (parse_plain_ipv6(start, end, &plain, &told)) {
		plain.bytes = plain_bytes(ctx, told);
		keep(&plain);
	} else {
		parse_frame(ctx, &flow, &p);
	}
	return XDP_PASS;
}

SEC("tc") int parse_tcx(struct __sk_buff *skb)
{
	void *start = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct flow_record plain = {};
	__u32 told;

	if (skb->gso_size)
		return NEXT;
	plain.bytes = buffer_bytes(skb);
	if (parse_plain_ipv4(start, end, &plain, &told))
		keep(&plain);
	else if (parse_plain_ipv6(start, end, &plain, &told))
		keep(&plain);
	return NEXT;
}

SEC("xdp.frags") int count_percpu(struct xdp_md *ctx)
{
	struct flow_record flow = {};
	struct packet p = {};
	enum unparsed reason = parse_frame(ctx, &flow, &p);
	__u32 key = 0;
	struct place at = {.counters = bpf_map_lookup_elem(&percpu_counters, &key)};

	if (at.counters)
		count_packet(&at, &flow, &p, 1, reason);
	return XDP_PASS;
}

SEC("xdp.frags") int hash_percpu(struct xdp_md *ctx)
{
	struct flow_record flow = {};
	struct packet p = {};

	parse_frame(ctx, &flow, &p);
	add_to_map(&percpu_hash, &flow);
	return XDP_PASS;
}

SEC("xdp.frags") int hash_lru(struct xdp_md *ctx)
{
	struct flow_record flow = {};
	struct packet p = {};

	parse_frame(ctx, &flow, &p);
	add_to_map(&lru_hash, &flow);
	return XDP_PASS;
}

SEC("xdp.frags") int perf_event(struct xdp_md *ctx)
{
	struct flow_record flow = {};
	struct packet p = {};

	parse_frame(ctx, &flow, &p);
	bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &flow, sizeof(flow));
	return XDP_PASS;
}
