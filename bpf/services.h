/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Flows by service: keep the port of the serving side in the key, and set the other one to 0.
 *
 * By the ports alone, the serving port is the one outside the range of ephemeral ports. If both are
 * outside or both inside, it is the lower one; if they are equal, both are kept. A TCP connection
 * whose SYN contradicts that is remembered, so that its packets in both directions and on every
 * interface have the same serving side.
 */
#ifndef PKTEXP_SERVICES_H
#define PKTEXP_SERVICES_H

/* A connection, seen from the side that is the client by the ports alone. */
struct connection {
	__u64 client[2];
	__u64 server[2];
	__u32 ports;
	__u32 packet_class; /* distinguishes a padded IPv4 address from an IPv6 address */
};

/* Connections whose SYN went to the side that is the client by the ports alone. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct connection);
	__type(value, __u8);
} reversed SEC(".maps");

/* Whether there has ever been one; until then packets skip the lookup. */
static volatile bool any_reversed;

static __always_inline bool is_ephemeral(__u16 port)
{
	return port >= config.ephemeral[0] && port <= config.ephemeral[1];
}

static __always_inline bool dest_serves_by_port(__u16 source, __u16 dest)
{
	if (is_ephemeral(source) != is_ephemeral(dest))
		return is_ephemeral(source);
	return dest < source;
}

static __always_inline void remember(const struct connection *connection, bool is_reversed)
{
	__u8 yes = 1;

	if (is_reversed) {
		bpf_map_update_elem(&reversed, connection, &yes, BPF_ANY);
		any_reversed = true;
	} else if (any_reversed) {
		bpf_map_delete_elem(&reversed, connection);
	}
}

static __always_inline bool is_tcp(const struct flow_record *flow)
{
	return flow->packet_class == CLASS_IPV4 + IP_CLASS_TCP ||
	       flow->packet_class == CLASS_IPV6 + IP_CLASS_TCP;
}

static __always_inline bool is_ipv4(const struct flow_record *flow)
{
	return flow->packet_class >= CLASS_IPV4 && flow->packet_class < CLASS_IPV6;
}

/* Whether the destination is the serving side; `by_port`: the answer by the ports alone. */
static __always_inline bool dest_serves(const struct flow_record *flow, bool by_port)
{
	struct connection connection;
	bool opener;

	/* Word by word: chosen pointers would force the flow into memory. */
	connection.client[0] = by_port ? flow->saddr[0] : flow->daddr[0];
	connection.client[1] = by_port ? flow->saddr[1] : flow->daddr[1];
	connection.server[0] = by_port ? flow->daddr[0] : flow->saddr[0];
	connection.server[1] = by_port ? flow->daddr[1] : flow->saddr[1];
	connection.packet_class = flow->packet_class;
	connection.ports = by_port ? flow->ports : flow->ports << 16 | flow->ports >> 16;
	if (flow->tcp_flags & TCP_SYN) {
		opener = !(flow->tcp_flags & TCP_ACK); /* a SYN goes to the server */
		remember(&connection, opener != by_port);
		return opener;
	}
	if (!any_reversed)
		return by_port;
	return bpf_map_lookup_elem(&reversed, &connection) ? !by_port : by_port;
}

static __always_inline void fold_client_port(struct flow_record *flow)
{
	__u16 source = bpf_ntohs(flow->ports), dest = bpf_ntohs(flow->ports >> 16);
	bool to_server;

	if (source == dest)
		return;
	to_server = dest_serves_by_port(source, dest);
	if (is_tcp(flow))
		to_server = dest_serves(flow, to_server);
	flow->ports &= to_server ? 0xffff0000 : 0x0000ffff;
}

#endif
