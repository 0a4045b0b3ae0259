"""The structs of bpf/cgroups.bpf.c as numpy types, and the counters read from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pktexp.packet.enums import Direction
from pktexp.packet.records import TALLY, U64, Records

U32 = npt.NDArray[np.uint32]

WAYS = 8
PATH_SIZE = 512  # bytes
PACKETS_SHIFT = 40
GONE = 2**64 - 1  # in place of an id whose place is about to be freed

CGROUP_CONFIG = np.dtype([("last_row", "u4"), ("row_size", "u4"), ("mask", "u4")])
CGROUP_BUCKET = np.dtype([("ids", "u8", WAYS)])
PACKED_TALLY = np.dtype([("sum", "u8"), ("packet_halves", "u4"), ("byte_halves", "u4")])
CGROUP_COUNTERS = np.dtype([("ingress", TALLY), ("egress", PACKED_TALLY)])
CGROUP_PLACE = np.dtype(
    [("since", TALLY, len(Direction)), ("id", "u8"), ("owner", "u4"), ("_pad", "u4")]
)
CGROUP_LEASE = np.dtype([("path", f"S{PATH_SIZE}"), ("kept", TALLY, len(Direction))])
# Kernel memory of a lease for each CPU: there are WAYS places for each.
CGROUP_BYTES = WAYS * CGROUP_COUNTERS.itemsize
STRUCTS = {
    "cgroup_config": CGROUP_CONFIG,
    "cgroup_bucket": CGROUP_BUCKET,
    "tally": TALLY,
    "packed_tally": PACKED_TALLY,
    "cgroup_counters": CGROUP_COUNTERS,
    "cgroup_place": CGROUP_PLACE,
    "cgroup_lease": CGROUP_LEASE,
}


def kernel_bytes(limit: int, cpus: int) -> int:
    """Return the kernel memory of the maps for so many leases, in bytes."""
    buckets = 1 << (limit - 1).bit_length()
    places = buckets * WAYS + 1
    rows = (cpus + 1) * CGROUP_COUNTERS.itemsize + CGROUP_PLACE.itemsize
    leases = (limit + 1) * CGROUP_LEASE.itemsize
    return places * rows + buckets * CGROUP_BUCKET.itemsize + leases


def read(rows: Records, places: npt.NDArray[np.intp]) -> U64:
    """Sum the counters of places over all rows: (place, direction, unit).

    `rows`: the mapped counters, (CPUs + 1, places) of CGROUP_COUNTERS.
    """
    totals = np.zeros((len(places), len(Direction), 2), np.uint64)
    for row in rows:
        packed, received = row["egress"], row["ingress"][places]
        # Copied before the sums: a half that is crossed meanwhile shows in the sum.
        halves = packed["packet_halves"][places], packed["byte_halves"][places]
        totals[:, Direction.EGRESS] += unpacked(packed["sum"][places], *halves)
        totals[:, Direction.INGRESS, 0] += received["packets"]
        totals[:, Direction.INGRESS, 1] += received["bytes"]
    return totals


def unpacked(sums: U64, packet_halves: U32, byte_halves: U32) -> U64:
    """Return packets and bytes (…, unit) of packed tallies whose halves were read before `sums`.

    A half that was crossed and is not counted yet shows as a count whose lowest bit differs from
    the highest bit of its field.
    """
    one, shift = np.uint64(1), np.uint64(PACKETS_SHIFT)
    below_half, carried_below_half = shift - one, np.uint64(63) - shift
    halves = byte_halves.astype(np.uint64)
    halves += (halves ^ sums >> below_half) & one
    bytes_ = halves << below_half | sums & ((one << below_half) - one)
    halves = packet_halves.astype(np.uint64)
    halves += (halves ^ sums >> np.uint64(63)) & one
    carried = halves << carried_below_half | sums >> shift & ((one << carried_below_half) - one)
    return np.stack((carried - (bytes_ >> shift), bytes_), axis=-1)


def tallies(records: Records) -> U64:
    """Return records of TALLY as (…, unit); a view."""
    return records.view(np.uint64).reshape(*records.shape, 2)
