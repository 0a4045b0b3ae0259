/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * The lease under which an interface is counted. With --pin programs and tables outlast the
 * process, and another interface can take an ifindex while no process corrects the tables. A lease
 * belongs to a name, so an interface is counted only under the name that it has.
 */
#ifndef PKTEXP_LEASED_H
#define PKTEXP_LEASED_H

static __always_inline bool is_named(const struct net_device *dev, const char *expected)
{
	char name[INTERFACE_NAME] = {};

	bpf_core_read(name, sizeof(name), &dev->name);
#pragma unroll
	for (int i = 0; i < INTERFACE_NAME; i++) {
		if (name[i] != expected[i])
			return false;
		if (!name[i]) /* the kernel does not clear the bytes behind */
			return true;
	}
	return true;
}

/*
 * The lease id of an interface; 0 if it is not counted. `dev` is NULL if the interface is gone: a
 * packet that came by it may die later.
 */
static __always_inline __u32 lease_id(__u32 ifindex, const struct net_device *dev)
{
	struct interface_entry *interface = find_interface(ifindex);
	struct lease *lease;
	__u32 slot;

	if (!interface)
		return 0;
	slot = interface->id & (config.slots - 1);
	lease = bpf_map_lookup_elem(&leases, &slot);
	if (!lease || (dev && !is_named(dev, lease->name)))
		return 0;
	return interface->id;
}

#endif
