"""A sample: everything that is counted, read at one moment.

The parts that cost more than reading the mapped counters (drops, devices) are in `Details`, and are
read only while somebody watches. Flows are also read now and then, for rates of a first request.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pktexp.bpf.clock import boot_time
from pktexp.flows.attribution import Attribution
from pktexp.flows.keylabels import Owners
from pktexp.flows.table import FlowSnapshot, FlowTable
from pktexp.interfaces.drops import Drop, Drops
from pktexp.interfaces.facts import DeviceDrops, InterfaceFacts
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.tracker import Interfaces
from pktexp.kubernetes.pods import Pod, PodTable
from pktexp.netlink.linkinfo import Link
from pktexp.packet.enums import Direction
from pktexp.packet.records import U64
from pktexp.units.ledger import Ledger, UnitCounts


@dataclass(frozen=True)
class Parts:
    """The parts of the pipeline that a sample reads."""

    interfaces: Interfaces
    attribution: Attribution | None
    flows: FlowTable | None
    facts: InterfaceFacts
    drops: Drops | None
    pods: PodTable | None
    cgroups: Ledger | None = None


@dataclass(frozen=True)
class Events:
    """Records read from the rings, and batches that could not be merged, as in the metrics."""

    records: int
    merge_failures: int


@dataclass(frozen=True)
class Details:
    """The costly parts of a sample.

    `devices`: drops reported by devices; `peers`: names of namespaces by id; `owners`: pods by
    address; `pods`: pods at the other end of links, by ifindex.
    """

    drops: dict[Drop, int]
    devices: list[DeviceDrops]
    peers: dict[int, str]
    owners: Owners
    pods: dict[int, Pod]


@dataclass(frozen=True)
class FlowReading:
    """Flows with the packets until `at`, in seconds since the boot: the latest drain's time."""

    at: float
    snapshot: FlowSnapshot


@dataclass(frozen=True)
class Sample:
    """Everything that is counted, at one moment.

    By row of `leases` and direction: `classes` (class, unit), `sizes` (bucket), `lost` (unit).
    `at` is seconds since the boot, `now` the Unix time; `second`: the full second since the boot
    that the sample stands for, None if it was taken for a request. `links`: the wanted interfaces
    that exist, by name; `hooks` as in Snapshot; `cpu`: CPU seconds of this process; `units`:
    traffic by cgroup, read with the details.
    """

    at: float
    now: float
    second: int | None
    leases: list[Lease]
    directions: Sequence[Direction]
    classes: U64
    sizes: U64
    lost: U64
    hooks: dict[tuple[str, Direction], str]
    links: dict[str, Link]
    events: Events
    cpu: float
    flows: FlowReading | None
    details: Details | None
    units: UnitCounts | None = None


def take(parts: Parts, *, flows: bool, details: bool, second: int | None = None) -> Sample:
    """Read the flows, then the totals, so that flows are never ahead of totals.

    Netlink is asked after the time of the sample is taken: it may be slow, and rates divide by
    that time.
    """
    links = parts.interfaces.links()
    reading = _flows(parts) if flows else None
    drops = parts.drops.read() if parts.drops and details else {}
    snapshot = parts.interfaces.snapshot()
    units = parts.cgroups.snapshot() if parts.cgroups and details else None
    at = boot_time()
    return Sample(
        at=at,
        now=time.time(),
        second=None if second is None else max(second, int(at)),
        leases=snapshot.leases,
        directions=snapshot.directions,
        classes=snapshot.classes,
        sizes=snapshot.sizes.sum(axis=2),
        lost=snapshot.lost,
        hooks=snapshot.hooks,
        links={link.name: link for link in links},
        events=_events(parts.attribution),
        cpu=time.process_time(),
        flows=reading,
        details=_details(parts, links, drops) if details else None,
        units=units,
    )


def _flows(parts: Parts) -> FlowReading | None:
    if parts.flows is None or parts.attribution is None:
        return None
    with parts.attribution.between_drains() as at:
        return FlowReading(at, parts.flows.snapshot(parts.interfaces.lease_names()))


def _details(parts: Parts, links: list[Link], drops: dict[Drop, int]) -> Details:
    facts = parts.facts
    return Details(
        drops=drops,
        devices=facts.device_drops(links),
        peers=facts.peers(links),
        owners=parts.pods.by_address if parts.pods else None,
        pods=facts.pods(links),
    )


def _events(attribution: Attribution | None) -> Events:
    readers = attribution.readers if attribution else []
    mergers = [reader.merger for reader in readers]
    records = sum(merger.records for merger in mergers)
    if attribution and attribution.drainer:
        mergers.append(attribution.drainer.merger)
    return Events(records, sum(merger.failures.count for merger in mergers))
