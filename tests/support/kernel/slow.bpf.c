/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The project's program, but slow between choosing a half of the flow cache and adding to it, so
 * that whoever drains without waiting for it is sure to miss packets.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

enum { TURNS = 1 << 21 }; /* some milliseconds */

static long turn(__u32 i, void *context)
{
	return i > TURNS && context;
}

static __always_inline void *look_up(void *map, const void *key, _Bool slowly)
{
	void *found = bpf_map_lookup_elem(map, key);

	if (slowly)
		bpf_loop(TURNS, turn, NULL, 0);
	return found;
}

#define bpf_map_lookup_elem(map, key) look_up(map, key, !__builtin_strcmp(#map, "&flows"))

#include "../../../bpf/packet.bpf.c"
