/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * What user space tells the programs: constants, set before loading, and the epoch, turned over and
 * over while they run. Included first by packet.bpf.c.
 */
#ifndef PKTEXP_CONFIG_H
#define PKTEXP_CONFIG_H

/* Sections of their own, so that user space sees exactly these and nothing beside them. */
SEC(".rodata.config") const volatile struct config config = {};

/* Even or odd: which half of the flow cache is added to. */
SEC(".data.epoch") volatile __u32 epoch = 0;

#endif
