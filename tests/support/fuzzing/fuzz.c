/*
 * Runs mutated frames (mutate.h) through the programs by BPF_PROG_TEST_RUN, and looks at what each
 * does: fuzz SEEDS OUT FRAMES SEED CUT EVERY SIDE [SIDE], where a SIDE is a datapath: XDP INGRESS
 * EGRESS COUNTERS OFFSET RING RING_SIZE. SEEDS holds frames, each behind its length as 16 bits.
 * COUNTERS, RING and the programs are file descriptors, OFFSET is where the two directions'
 * counters lie. One of EVERY frames, and all at which something is wrong, go to OUT with what was
 * counted (struct sample). Without a RING (-1) nothing is looked at but the verdicts. With a second
 * side both count each frame, and must agree. Prints how many frames had which enum wrong.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>

#include "mutate.h"
#include "testrun.h"

static uint64_t wrongs[WRONGS];
static struct side sides[2];
static int side_count;

/* What a frame is must not depend on the hook or side. */
static enum wrong compare(struct sample *xdp, struct sample *other)
{
	other->flow.direction = xdp->flow.direction;
	if (memcmp(&xdp->counters, &other->counters, sizeof(xdp->counters)))
		return DISAGREE;
	return memcmp(&xdp->flow, &other->flow, sizeof(xdp->flow)) ? DISAGREE : NOTHING;
}

/* A large segment's packets have headers of at most its length; a jumbogram's lack an option. */
static enum wrong look_at_segments(const struct frame *f, const struct sample *s,
				   const struct __sk_buff *skb, const struct sample *xdp)
{
	uint64_t packets = s->flow.packets, bytes = s->flow.bytes, length = f->length;

	if (s->flow.packet_class != xdp->flow.packet_class || !packets)
		return DISAGREE;
	if (packets != 1 && (skb->gso_segs ? packets != skb->gso_segs : packets > length))
		return COUNT;
	return bytes + 8 < length || bytes > packets * length ? COUNT : NOTHING;
}

static enum wrong try_segments(uint64_t *state, const struct frame *f, struct sample *xdp)
{
	struct __sk_buff skb = {.gso_segs = below(state, 2) * below(state, 70),
				.gso_size = below(state, 16) ? 1 + below(state, 1500) : 0xffff};
	struct sample s = {0};
	enum wrong wrong = observe(&sides[0], 1, f, &skb, &s);

	xdp->segments = skb.gso_segs;
	xdp->segment_bytes = skb.gso_size;
	return wrong || !sides[0].data ? wrong : look_at_segments(f, &s, &skb, xdp);
}

static enum wrong try_hooks(uint64_t *state, const struct frame *f, struct sample *xdp)
{
	enum wrong wrong = observe(&sides[0], 0, f, NULL, xdp);

	for (int i = 1; i < 3 * side_count && !wrong; i++) {
		struct sample other = {0};

		wrong = observe(&sides[i / 3], i % 3, f, NULL, &other);
		if (sides[0].data && !wrong)
			wrong = compare(xdp, &other);
	}
	return wrong || below(state, 4) ? wrong : try_segments(state, f, xdp);
}

static void load(struct seeds *seeds, const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status)) {
		perror(path);
		exit(1);
	}
	const uint8_t *at = map(fd, status.st_size, PROT_READ, 0), *end = at + status.st_size;
	while (at < end && seeds->count < MOST_SEEDS) {
		uint16_t length;

		memcpy(&length, at, sizeof(length));
		seeds->lengths[seeds->count] = length;
		seeds->bytes[seeds->count++] = at + sizeof(length);
		at += sizeof(length) + length;
	}
}

static void add_side(char **argv)
{
	struct side *side = &sides[side_count++];
	size_t offset = atoll(argv[4]), size = 2 * sizeof(*side->counted);
	int ring = atoi(argv[5]);

	for (int i = 0; i < 3; i++)
		side->programs[i] = atoi(argv[i]);
	side->counted =
	    (void *)((char *)map(atoi(argv[3]), offset + size, PROT_READ | PROT_WRITE, 0) + offset);
	side->ring_size = atoll(argv[6]);
	if (ring >= 0)
		map_ring(side, ring);
}

int main(int argc, char **argv)
{
	static struct seeds seeds;
	static struct frame frame;

	if (argc != 14 && argc != 21)
		return 2;
	FILE *out = fopen(argv[2], "wb");
	uint64_t frames = atoll(argv[3]), state = strtoull(argv[4], NULL, 0);
	uint64_t every = atoll(argv[6]);
	int cut = atoi(argv[5]);

	load(&seeds, argv[1]);
	for (int at = 7; at < argc; at += 7)
		add_side(argv + at);
	for (uint64_t i = 0; i < frames; i++) {
		struct sample s = {0};

		next_frame(&state, &frame, &seeds, cut);
		s.wrong = try_hooks(&state, &frame, &s);
		s.length = frame.length;
		wrongs[s.wrong]++;
		if (s.wrong || i % every == 0) {
			fwrite(&s, sizeof(s), 1, out);
			fwrite(frame.bytes, frame.length, 1, out);
		}
	}
	for (int i = 0; i < WRONGS; i++)
		printf("%lu ", wrongs[i]);
	return fclose(out) != 0;
}
