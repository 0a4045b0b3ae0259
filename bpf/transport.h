/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Parse transport headers: ports, TCP flags and ICMP types.
 */
#ifndef PKTEXP_TRANSPORT_H
#define PKTEXP_TRANSPORT_H

#include <linux/in.h>

/* Bytes of headers behind the ports (RFC 768; RFC 9260, 3.1). */
#define UDP_REST 4
#define SCTP_REST 8

/* The TCP header between the ports and the window (RFC 9293, 3.1). */
struct tcp_middle {
	__be32 sequence;
	__be32 acknowledgment;
	__u8 data_offset; /* in words of 4 bytes, in the upper half */
	__u8 flags;
} __attribute__((packed));

#define ICMP(type) (ICMP_TYPE_##type - ICMP_TYPE_OTHER)
#define ICMPV6(type) (ICMPV6_TYPE_##type - ICMPV6_TYPE_OTHER)

/* IANA, "ICMP Type Numbers" and "ICMPv6 type Numbers"; all types without an entry are OTHER. */
static const __u8 icmp_type_of[256] = {
    [0] = ICMP(ECHO_REPLY),	      [3] = ICMP(UNREACHABLE),
    [4] = ICMP(SOURCE_QUENCH),	      [5] = ICMP(REDIRECT),
    [8] = ICMP(ECHO_REQUEST),	      [9] = ICMP(ROUTER_ADVERTISEMENT),
    [10] = ICMP(ROUTER_SOLICITATION), [11] = ICMP(TIME_EXCEEDED),
    [12] = ICMP(PARAMETER_PROBLEM),   [13] = ICMP(TIMESTAMP_REQUEST),
    [14] = ICMP(TIMESTAMP_REPLY),
};

static const __u8 icmpv6_type_of[256] = {
    [1] = ICMPV6(UNREACHABLE),
    [2] = ICMPV6(PACKET_TOO_BIG),
    [3] = ICMPV6(TIME_EXCEEDED),
    [4] = ICMPV6(PARAMETER_PROBLEM),
    [128] = ICMPV6(ECHO_REQUEST),
    [129] = ICMPV6(ECHO_REPLY),
    [130] = ICMPV6(LISTENER_QUERY),
    [131] = ICMPV6(LISTENER_REPORT),
    [132] = ICMPV6(LISTENER_DONE),
    [133] = ICMPV6(ROUTER_SOLICITATION),
    [134] = ICMPV6(ROUTER_ADVERTISEMENT),
    [135] = ICMPV6(NEIGHBOR_SOLICITATION),
    [136] = ICMPV6(NEIGHBOR_ADVERTISEMENT),
    [137] = ICMPV6(REDIRECT),
    [143] = ICMPV6(LISTENER_REPORT_V2),
};

static __always_inline enum unparsed parse_tcp(struct cursor *c, struct flow_record *flow,
					       struct packet *p)
{
	struct tcp_middle *tcp = c->pos;

	if (!advance(c, sizeof(*tcp)))
		return UNPARSED_TRUNCATED_TRANSPORT;
	flow->tcp_flags = tcp->flags;
	if (c->large)
		p->headers = bytes_before(c) - sizeof(*tcp) - sizeof(flow->ports) +
			     (tcp->data_offset >> 4) * 4;
	return UNPARSED_NOTHING;
}

static __always_inline enum unparsed parse_icmp(struct cursor *c, struct packet *p,
						__u8 packet_class)
{
	__u8 *type = c->pos;

	if (!advance(c, sizeof(*type)))
		return UNPARSED_TRUNCATED_TRANSPORT;
	if (packet_class == CLASS_IPV4 + IP_CLASS_ICMP)
		p->icmp_type = ICMP_TYPE_OTHER + icmp_type_of[*type];
	else
		p->icmp_type = ICMPV6_TYPE_OTHER + icmpv6_type_of[*type];
	return UNPARSED_NOTHING;
}

static __always_inline enum unparsed parse_transport(struct cursor *c, struct flow_record *flow,
						     struct packet *p)
{
	__u8 packet_class = flow->packet_class;
	__u8 ip_class =
	    packet_class >= CLASS_IPV6 ? packet_class - CLASS_IPV6 : packet_class - CLASS_IPV4;
	__u32 *ports = c->pos;

	if (packet_class == CLASS_IPV4 + IP_CLASS_ICMP ||
	    packet_class == CLASS_IPV6 + IP_CLASS_ICMPV6)
		return parse_icmp(c, p, packet_class);
	if (ip_class != IP_CLASS_TCP && ip_class != IP_CLASS_UDP && ip_class != IP_CLASS_SCTP)
		return UNPARSED_NOTHING;
	if (!advance(c, sizeof(*ports)))
		return UNPARSED_TRUNCATED_TRANSPORT;
	flow->ports = *ports;
	if (ip_class == IP_CLASS_TCP)
		return parse_tcp(c, flow, p);
	if (c->large)
		p->headers = bytes_before(c) + (ip_class == IP_CLASS_UDP ? UDP_REST : SCTP_REST);
	return UNPARSED_NOTHING;
}

#endif
