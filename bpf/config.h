/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * Data that user space writes for the programs: constants, set before loading, and two variables,
 * which change while they run.
 */
#ifndef PKTEXP_CONFIG_H
#define PKTEXP_CONFIG_H

/* Each in a section of its own, so that user space maps it without other data. */
SEC(".rodata.config") const volatile struct config config = {};

/* Its lowest bit selects the half of the flow cache that programs use. */
SEC(".data.epoch") volatile __u32 epoch = 0;

/* A bit for each IFB, by its ifindex modulo 64. */
SEC(".data.ifbs") volatile __u64 ifbs = 0;

#endif
