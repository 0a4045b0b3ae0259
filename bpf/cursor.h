/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * A place in a packet's headers that moves forward, and what is learnt on its way. The parsers that
 * move it are transport.h, network.h and link.h, each using the one before, and tunnelheaders.h.
 */
#ifndef PKTEXP_CURSOR_H
#define PKTEXP_CURSOR_H

/* Headers that do not lie in one piece are copied, up to so many bytes. */
#define COPY_BYTES 1024

/* More than any headers take that are parsed; the verifier allows offsets of 16 bits. */
#define MAX_HEADERS 0x7fff

struct cursor {
	void *start;
	void *pos;
	void *end;
	bool copied; /* from start on lies a copy, not the packet */
	bool large;  /* what is parsed may stand for several packets: headers are measured */
};

/* What is learnt of a packet beside its flow. */
struct packet {
	__u32 segments;	     /* packets that it stands for, all of segment_bytes but the last */
	__u32 segment_bytes; /* with headers */
	union {		     /* what few packets have, to be asked for at once */
		__u32 rare;
		struct {
			__u16 traits;	/* a bit each, by enum trait */
			__u8 icmp_type; /* enum icmp_type */
		};
	};
	__u16 tunnels; /* a bit each, by enum tunnel */
	__u16 parsed;  /* bytes of headers that were parsed */
	__u16 headers; /* bytes before the payload of TCP, UDP, SCTP; 0 where there is none */
	__u8 vlans;    /* tags beside the frame */
	bool later;    /* a fragment, not the first: no transport header */
	bool jumbo;    /* IPv6 with a length that only an option tells */
};

/*
 * Notes a trait where `condition`, 0 or 1, is. That is told by arithmetic, not by branches: the
 * verifier would follow each combination of traits to the end.
 */
static __always_inline void note(struct packet *p, enum trait trait, __u32 condition)
{
	p->traits |= condition << trait;
}

/*
 * Bytes before the cursor. The verifier takes the difference of two pointers in just this form,
 * which compilers would change.
 */
static __always_inline __u64 bytes_before(const struct cursor *c)
{
	__u64 offset = (__u64)c->pos;

	asm volatile("%0 -= %1" : "+r"(offset) : "r"(c->start));
	return offset;
}

/*
 * Shows the verifier where at most the cursor is: inside a copy it has to know, and inside a packet
 * what differs only in this is then all the same to it.
 */
static __always_inline bool settle(struct cursor *c)
{
	__u64 offset = bytes_before(c);

	if (offset > (c->copied ? COPY_BYTES : MAX_HEADERS))
		return false;
	c->pos = c->start + offset;
	return true;
}

/* Moves the cursor over the next `size` bytes; false, and the cursor unmoved, if they are cut
 * short. */
static __always_inline bool advance(struct cursor *c, __u32 size)
{
	if (c->pos + size > c->end)
		return false;
	c->pos += size;
	return !c->copied || settle(c);
}

#endif
