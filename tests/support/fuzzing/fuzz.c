/*
 * Runs mutated frames (mutate.h) through the programs by BPF_PROG_TEST_RUN, and looks at what each
 * does: fuzz SEEDS OUT FRAMES SEED CUT EVERY XDP INGRESS EGRESS COUNTERS OFFSET RING RING_SIZE.
 * SEEDS holds frames, each behind its length as 16 bits. COUNTERS, RING and the programs are file
 * descriptors, OFFSET is where the two directions' counters lie. One of EVERY frames, and all at
 * which something is wrong, go to OUT with what was counted (struct sample). Without a RING (-1)
 * nothing is looked at but the verdicts. Prints how many frames had which enum wrong.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>

#include "mutate.h"
#include "testrun.h"

static uint64_t wrongs[WRONGS];

/* What a frame is must not depend on the hook. */
static enum wrong compare(struct sample *xdp, struct sample *skb)
{
	skb->flow.direction = xdp->flow.direction;
	if (memcmp(&xdp->counters, &skb->counters, sizeof(xdp->counters)))
		return DISAGREE;
	return memcmp(&xdp->flow, &skb->flow, sizeof(xdp->flow)) ? DISAGREE : NOTHING;
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
	enum wrong wrong = observe(1, f, &skb, &s);

	xdp->segments = skb.gso_segs;
	xdp->segment_bytes = skb.gso_size;
	return wrong || !data ? wrong : look_at_segments(f, &s, &skb, xdp);
}

static enum wrong try_hooks(uint64_t *state, const struct frame *f, struct sample *xdp)
{
	enum wrong wrong = observe(0, f, NULL, xdp);

	for (int program = 1; program < 3 && !wrong; program++) {
		struct sample skb = {0};

		wrong = observe(program, f, NULL, &skb);
		if (data && !wrong)
			wrong = compare(xdp, &skb);
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

int main(int argc, char **argv)
{
	static struct seeds seeds;
	static struct frame frame;

	if (argc != 14)
		return 2;
	FILE *out = fopen(argv[2], "wb");
	uint64_t frames = atoll(argv[3]), state = strtoull(argv[4], NULL, 0);
	uint64_t every = atoll(argv[6]);
	size_t offset = atoll(argv[11]), size = 2 * sizeof(*counted);
	int cut = atoi(argv[5]), ring = atoi(argv[12]);

	load(&seeds, argv[1]);
	for (int i = 0; i < 3; i++)
		programs[i] = atoi(argv[7 + i]);
	counted = (void *)((char *)map(atoi(argv[10]), offset + size, PROT_READ | PROT_WRITE, 0) +
			   offset);
	ring_size = atoll(argv[13]);
	if (ring >= 0)
		map_ring(ring);
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
