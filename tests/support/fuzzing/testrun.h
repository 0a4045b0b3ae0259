/* Runs a program over a frame by bpf(2), and reads its counters and its flow record. */
#ifndef PKTEXP_TESTRUN_H
#define PKTEXP_TESTRUN_H

#include <errno.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../../bpf/packet.h"
#include "mutate.h"

#define NEXT 0xffffffff /* TCX_NEXT */
#define XDP_VERDICT 2

enum wrong { NOTHING, FAILED, VERDICT, COUNT, DISAGREE, REFUSED, WRONGS };

struct sample {
	uint32_t length;
	uint32_t wrong;
	uint32_t segments; /* gso_segs and gso_size of the last run */
	uint32_t segment_bytes;
	struct interface_counters counters; /* by XDP */
	struct flow_record flow;
};

struct ring_record {
	uint64_t header; /* kernel/bpf/ringbuf.c, 5.8 */
	struct flow_record flow;
};

/* A datapath; without a ring only verdicts are looked at. */
struct side {
	int programs[3];		    /* XDP, ingress, egress */
	struct interface_counters *counted; /* by direction */
	uint64_t *consumed;
	const uint64_t *produced;
	const char *data;
	uint64_t ring_size;
};

static void *map(int fd, size_t size, int protection, off_t offset)
{
	void *at = mmap(NULL, size, protection, MAP_SHARED, fd, offset);

	if (at == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return at;
}

static void map_ring(struct side *side, int fd)
{
	long page = sysconf(_SC_PAGESIZE);
	char *shared = map(fd, page + 2 * side->ring_size, PROT_READ, page);

	side->consumed = map(fd, page, PROT_READ | PROT_WRITE, 0);
	side->produced = (void *)shared;
	side->data = shared + page;
}

/* 0, or why it could not be run; *verdict is what the program returned. */
static int run(int program, const struct frame *f, const struct __sk_buff *skb, uint32_t *verdict)
{
	union bpf_attr attr = {0};

	attr.test.prog_fd = program;
	attr.test.data_in = (uintptr_t)f->bytes;
	attr.test.data_size_in = f->length;
	attr.test.ctx_in = (uintptr_t)skb;
	attr.test.ctx_size_in = skb ? sizeof(*skb) : 0;
	attr.test.repeat = 1;
	if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)))
		return errno;
	*verdict = attr.test.retval;
	return 0;
}

static uint64_t sum(const __u64 *words, int count, int step)
{
	uint64_t total = 0;

	for (int i = 0; i < count; i += step)
		total += words[i];
	return total;
}

/* Whether one record and all the counters tell of so many packets, all of one class. */
static bool agree(const struct interface_counters *c, const struct flow_record *flow,
		  enum direction direction)
{
	const struct tally *tally = c->classes;
	uint64_t packets = sum(&tally->packets, 2 * CLASS_COUNT, 2);

	return packets == flow->packets && sum(&tally->bytes, 2 * CLASS_COUNT, 2) == flow->bytes &&
	       sum(c->sizes, SIZE_GROUP_COUNT * SIZE_BUCKETS, 1) == packets &&
	       sum(c->unparsed, UNPARSED_COUNT, 1) <= 1 && !c->lost.packets &&
	       flow->direction == direction && flow->packet_class < CLASS_COUNT;
}

/* The flow that the programs told of since it was last asked; NULL if there is not just one. */
static const struct flow_record *take(struct side *side)
{
	uint64_t at = *side->consumed, told = *side->produced - at;
	const struct ring_record *record =
	    (const void *)(side->data + (at & (side->ring_size - 1)));

	*side->consumed = *side->produced;
	return told == sizeof(*record) ? &record->flow : NULL;
}

/* Runs a program, takes out its one record, and says what is wrong with what was counted. */
static enum wrong observe(struct side *side, int program, const struct frame *f,
			  const struct __sk_buff *skb, struct sample *s)
{
	enum direction direction = program == 2 ? DIRECTION_EGRESS : DIRECTION_INGRESS;
	struct interface_counters *c = &side->counted[direction];
	const struct flow_record *flow;
	uint32_t verdict = 0;
	int error;

	if (side->data)
		memset(c, 0, sizeof(*c));
	error = run(side->programs[program], f, skb, &verdict);
	if (error)
		return error == EINVAL && program ? REFUSED : FAILED;
	if (verdict != (program ? NEXT : XDP_VERDICT))
		return VERDICT;
	if (!side->data)
		return NOTHING;
	flow = take(side);
	if (!flow)
		return COUNT;
	s->counters = *c;
	s->flow = *flow;
	return agree(c, &s->flow, direction) ? NOTHING : COUNT;
}

#endif
