/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * A cursor that moves forward through a packet's headers, and the properties that parsers collect.
 * The parsers are transport.h, network.h and link.h, each using the one before, and
 * tunnelheaders.h.
 */
#ifndef PKTEXP_CURSOR_H
#define PKTEXP_CURSOR_H

/* The most bytes of headers that are copied if they are not in one piece. */
#define COPY_BYTES 1024

/* More bytes than all headers that are parsed; the verifier allows offsets of 16 bits. */
#define MAX_HEADERS 0x7fff

/*
 * Added to an enum unparsed if no addresses were found: the IP header is wrong, or ends before they
 * do. A bit of the result costs less than a field that is set.
 */
#define NO_ADDRESSES 0x80

struct cursor {
	void *start;
	void *pos;
	void *end;
	bool copied; /* start and end are those of a copy, not of the packet */
	bool large;  /* it may stand for several packets: the length of its headers is needed */
};

/* Properties of a packet beside its flow. */
struct packet {
	__u32 segments;	     /* packets it stands for, all of segment_bytes but the last */
	__u32 segment_bytes; /* with headers */
	union {		     /* rare properties; one test of `rare` covers them all */
		__u32 rare;
		struct {
			__u16 traits;	/* a bit each, by enum trait */
			__u8 icmp_type; /* enum icmp_type */
		};
	};
	__u16 tunnels; /* a bit each, by enum tunnel */
	__u16 parsed;  /* bytes of headers that were parsed */
	__u16 headers; /* bytes before the payload of TCP, UDP, SCTP; 0 where there is none */
	__u8 vlans;    /* tags that are not in the frame's bytes */
	bool later;    /* a fragment, not the first: no transport header */
	bool jumbo;    /* IPv6 whose length is in an option (RFC 2675) */
};

/*
 * Sets a trait if `condition`, 0 or 1, is 1. Arithmetic in place of a branch, as the verifier would
 * follow every combination of traits to the end of the program.
 */
static __always_inline void note(struct packet *p, enum trait trait, __u32 condition)
{
	p->traits |= condition << trait;
}

/*
 * Bytes before the cursor. The verifier accepts the difference of two pointers only in this form,
 * which compilers would change.
 */
static __always_inline __u64 bytes_before(const struct cursor *c)
{
	__u64 offset = (__u64)c->pos;

	asm volatile("%0 -= %1" : "+r"(offset) : "r"(c->start));
	return offset;
}

/*
 * Shows the verifier the largest offset of the cursor. It needs the bound inside a copy. Inside a
 * packet, states that differed only in the offset become equal, and one of them is checked.
 */
static __always_inline bool settle(struct cursor *c)
{
	__u64 offset = bytes_before(c);

	if (offset > (c->copied ? COPY_BYTES : MAX_HEADERS))
		return false;
	c->pos = c->start + offset;
	return true;
}

/* Moves the cursor over the next `size` bytes; false, without moving, if the packet is shorter. */
static __always_inline bool advance(struct cursor *c, __u32 size)
{
	if (c->pos + size > c->end)
		return false;
	c->pos += size;
	return !c->copied || settle(c);
}

#endif
