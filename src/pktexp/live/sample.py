"""One look at everything that is counted; taken by sampler.py, told by the documents beside it.

What costs more than a look at the mapped counters (flows, drops, devices) is in `Details`, and is
asked for only while somebody wants it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pktexp.flows.attribution import Attribution
from pktexp.flows.keylabels import Owners
from pktexp.flows.table import FlowSnapshot, FlowTable
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.tracker import Interfaces
from pktexp.kubernetes.pods import Pod, PodTable
from pktexp.metrics.drops import DropCollector
from pktexp.metrics.interfaces import DeviceDrops, InterfaceCollector
from pktexp.netlink.linkinfo import Link
from pktexp.packet.enums import Direction, SizeGroup
from pktexp.packet.records import SIZE_BUCKETS

U64 = npt.NDArray[np.uint64]

Drop = tuple[str, str]
"""interface, reason"""


@dataclass(frozen=True)
class Parts:
    """Who is asked."""

    interfaces: Interfaces
    attribution: Attribution | None
    flows: FlowTable | None
    information: InterfaceCollector
    drops: DropCollector | None
    pods: PodTable | None


@dataclass(frozen=True)
class Events:
    """Of the rings, as the metrics have them."""

    records: int
    merge_failures: int


@dataclass(frozen=True)
class Details:
    """`devices`: what devices dropped; `peers`: names of namespaces by id.

    `owners`: pods by address; `pods`: those behind interfaces, by ifindex.
    """

    flows: FlowSnapshot | None
    drops: dict[Drop, int]
    devices: list[DeviceDrops]
    peers: dict[int, str]
    owners: Owners
    pods: dict[int, Pod]


@dataclass(frozen=True)
class Sample:
    """By row of `leases` and direction: `tallies` (class, unit), `sizes` (bucket), `lost` (unit).

    `at` is seconds since the boot, `now` the Unix time. `links`: of the interfaces that there are
    and should be counted, by name; `hooks` as a Snapshot has them. `cpu`: the process's seconds.
    """

    at: float
    now: float
    leases: list[Lease]
    directions: Sequence[Direction]
    tallies: U64
    sizes: U64
    lost: U64
    hooks: dict[tuple[str, Direction], str]
    links: dict[str, Link]
    events: Events
    cpu: float
    details: Details | None


def boot_time() -> float:
    """Seconds since the boot, those included that the machine slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def take(parts: Parts, detailed: bool) -> Sample:
    """Flows come before the totals, and so are never ahead of them.

    Netlink comes after both and their time: it may take long, and rates are by that time.
    """
    links = parts.interfaces.links()
    counted = _counted(parts) if detailed else None
    snapshot = parts.interfaces.snapshot()
    at = boot_time()
    totals = snapshot.totals
    return Sample(
        at=at,
        now=time.time(),
        leases=snapshot.leases,
        directions=snapshot.directions,
        tallies=_words(totals["classes"]),
        sizes=totals["sizes"].reshape(*totals.shape, len(SizeGroup), SIZE_BUCKETS).sum(axis=2),
        lost=_words(totals["lost"]),
        hooks=snapshot.hooks,
        links={link.name: link for link in links},
        events=_events(parts.attribution),
        cpu=time.process_time(),
        details=_details(parts, links, *counted) if counted else None,
    )


def _counted(parts: Parts) -> tuple[FlowSnapshot | None, dict[Drop, int]]:
    flows = parts.flows.snapshot(parts.interfaces.lease_names()) if parts.flows else None
    drops = {(name, reason): n for name, reason, n in parts.drops.drops()} if parts.drops else {}
    return flows, drops


def _details(
    parts: Parts, links: list[Link], flows: FlowSnapshot | None, drops: dict[Drop, int]
) -> Details:
    information = parts.information
    return Details(
        flows=flows,
        drops=drops,
        devices=information.device_drops(links) or [],
        peers=information.peers(links),
        owners=parts.pods.by_address if parts.pods else None,
        pods=information.pods_behind(links),
    )


def _words(tallies: npt.NDArray[np.void]) -> U64:
    """A copy of tallies, their two fields as the last axis."""
    words: U64 = np.ascontiguousarray(tallies).view(np.uint64).reshape(*tallies.shape, 2)
    return words


def _events(attribution: Attribution | None) -> Events:
    readers = attribution.readers if attribution else []
    mergers = [reader.merger for reader in readers]
    records = sum(merger.records for merger in mergers)
    if attribution and attribution.drainer:
        mergers.append(attribution.drainer.merger)
    return Events(records, sum(merger.failures.count for merger in mergers))
