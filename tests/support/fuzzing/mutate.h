/* Frames drawn from seeds; the same start number gives the same frames. */
#ifndef PKTEXP_MUTATE_H
#define PKTEXP_MUTATE_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { SHORTEST = 14, LONGEST = 9000, HEADERS = 160, MOST_SEEDS = 8192, CUT_TO = 320 };

struct frame {
	uint32_t length;
	uint8_t bytes[LONGEST];
};

struct seeds {
	uint32_t count;
	uint32_t lengths[MOST_SEEDS];
	const uint8_t *bytes[MOST_SEEDS];
};

/* Values at which parsers decide: ethertypes, ports of tunnels, flags, bounds of lengths. */
static const uint16_t WORDS[] = {
    0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x8847, 0x8848, 0x8863, 0x8864, 0x88cc,
    0x888e, 0x88e5, 0x6558, 0x88be, 0x0021, 0x0057, 0x05ff, 0x0600, 2152,   4789,
    6081,   8472,   0x2000, 0x1fff, 0x0001, 0xfff8, 0x0000, 0xffff, 0x7fff, 0x8000,
};
static const uint8_t BYTES[] = {
    0,	1,  2,	 4,   6,   17,	 33,   41,   43,   44,	 47,   50,   51,   58,	 59,   60,   89,
    94, 99, 103, 112, 132, 0x11, 0x40, 0x44, 0x45, 0x46, 0x4f, 0x60, 0x65, 0x7f, 0x80, 0xfe, 0xff,
};

/* Steele, Lea, Flood: Fast splittable pseudorandom number generators (OOPSLA 2014). */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint32_t below(uint64_t *state, uint32_t bound)
{
	return (draw(state) >> 32) * bound >> 32;
}

/* Mostly in the headers, as nothing looks at what follows them. */
static uint32_t place(uint64_t *state, const struct frame *f, uint32_t size)
{
	uint32_t bound = f->length > HEADERS && below(state, 8) ? HEADERS : f->length;

	return bound > size ? below(state, bound - size + 1) : 0;
}

static void set_word(struct frame *f, uint32_t at, uint16_t value)
{
	value = htons(value);
	memcpy(f->bytes + at, &value, sizeof(value));
}

static void insert(struct frame *f, uint32_t at, const uint8_t *from, uint32_t size)
{
	uint8_t copy[HEADERS];

	if (size > HEADERS || f->length + size > LONGEST)
		return;
	memcpy(copy, from, size); /* may lie in the frame itself */
	memmove(f->bytes + at + size, f->bytes + at, f->length - at);
	memcpy(f->bytes + at, copy, size);
	f->length += size;
}

static void remove_from(struct frame *f, uint32_t at, uint32_t size)
{
	if (f->length < SHORTEST + size)
		return;
	memmove(f->bytes + at, f->bytes + at + size, f->length - at - size);
	f->length -= size;
}

/* Its head, and another seed's tail. */
static void graft(uint64_t *state, struct frame *f, const struct seeds *seeds)
{
	uint32_t other = below(state, seeds->count), to = place(state, f, 1);
	uint32_t from = below(state, seeds->lengths[other]), rest = seeds->lengths[other] - from;

	if (to + rest < SHORTEST || to + rest > LONGEST)
		return;
	memcpy(f->bytes + to, seeds->bytes[other] + from, rest);
	f->length = to + rest;
}

static void stretch(uint64_t *state, struct frame *f)
{
	uint32_t to = below(state, 16) ? 1600 : LONGEST, length = f->length;

	if (length >= to)
		return;
	f->length += below(state, to - length);
	memset(f->bytes + length, below(state, 256), f->length - length);
}

static void mutate(uint64_t *state, struct frame *f, const struct seeds *seeds)
{
	uint32_t at = place(state, f, 2), length = f->length;

	switch (below(state, 10)) {
	case 0:
	case 1:
		f->bytes[at] ^= 1 << below(state, 8);
		break;
	case 2:
	case 3:
		f->bytes[at] = BYTES[below(state, sizeof(BYTES))];
		break;
	case 4:
		set_word(f, at, WORDS[below(state, sizeof(WORDS) / sizeof(*WORDS))]);
		break;
	case 5: /* a length at its bounds */
		set_word(f, at, length - at + below(state, 3) - 1);
		break;
	case 6:
		graft(state, f, seeds);
		break;
	case 7:
		at = place(state, f, 48);
		insert(f, place(state, f, 1), f->bytes + at,
		       length < 48 ? 8 : 4 + below(state, 44));
		break;
	case 8:
		remove_from(f, place(state, f, 48), length < 80 ? 0 : 1 + below(state, 40));
		break;
	default:
		if (below(state, 2))
			stretch(state, f);
		else
			f->length -= below(state, length - SHORTEST + 1);
	}
}

static void copy_seed(struct frame *f, const struct seeds *seeds, uint32_t index)
{
	f->length = seeds->lengths[index];
	memcpy(f->bytes, seeds->bytes[index], f->length);
}

/* First every seed cut at every byte, if `cut`; then seeds mutated some times each. */
static void next_frame(uint64_t *state, struct frame *f, const struct seeds *seeds, bool cut)
{
	static uint32_t index, length = SHORTEST;

	if (cut && index < seeds->count) {
		copy_seed(f, seeds, index);
		if (f->length > length)
			f->length = length;
		if (length++ >= CUT_TO || f->length < length) {
			length = SHORTEST;
			index++;
		}
		return;
	}
	copy_seed(f, seeds, below(state, seeds->count));
	for (uint32_t i = below(state, 5) + 1; i; i--)
		mutate(state, f, seeds);
}

#endif
