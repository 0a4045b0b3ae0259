"""The story of counting: load, attach, read, sample; `serve` and `top` both run it.

Failures before the pipeline runs are raised, with a hint at what to do. Later failures are counted
by the part that meets them and exported; none is raised out of a loop.
"""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from pktexp import __version__, privileges
from pktexp.bpf import libbpf, tracing
from pktexp.bpf.btf import kernel_btf
from pktexp.bpf.cgroups import drop_pins
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.ingressrules import IngressRules
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.options import DatapathOptions, cached_flows
from pktexp.bpf.pins import Pins, open_pins
from pktexp.bpf.probes import highest_online_cpu
from pktexp.bpf.runtime import RunTimes
from pktexp.bpf.tracepoints import DROPS, RETRANSMITS, reason_names
from pktexp.flows import memory
from pktexp.flows.accounting import Accounts
from pktexp.flows.attribution import Attribution, attributing
from pktexp.flows.networks import NamedNetworks
from pktexp.flows.networksums import NetworkSums
from pktexp.flows.table import FlowTable
from pktexp.interfaces import others
from pktexp.interfaces.drops import Drops, Retransmits
from pktexp.interfaces.facts import InterfaceFacts
from pktexp.interfaces.namefilter import NameFilter
from pktexp.interfaces.tracker import Interfaces
from pktexp.interfaces.unseen import Unseen
from pktexp.kubernetes.naming import naming
from pktexp.kubernetes.podlinks import PodLinks
from pktexp.live.documents import Live, watch
from pktexp.live.sample import Parts
from pktexp.live.status import Status
from pktexp.metrics import figures
from pktexp.metrics.drops import DropPage, RetransmitPage
from pktexp.metrics.exporter import Group
from pktexp.metrics.flows import FlowPage
from pktexp.metrics.interfaces import InterfaceCollector
from pktexp.metrics.networks import NetworkPage
from pktexp.metrics.traffic import TrafficPage
from pktexp.metrics.units import UnitDropPage, UnitPage
from pktexp.netlink.links import LinkMonitor
from pktexp.packet.enums import Direction
from pktexp.settings import EventMode, FlowMode, Settings, flow_options
from pktexp.tasks import background
from pktexp.units import start as units
from pktexp.units.drops import UnitDrops
from pktexp.units.ledger import Ledger

if TYPE_CHECKING:  # the Kubernetes client is imported only with --kubernetes
    from pktexp.kubernetes.watch import PodWatch

log = logging.getLogger(__name__)

FLUSH = 0.1  # seconds that a scrape waits for events to be merged
NO_FLOWS = SimpleNamespace(limit=0, watched=0)

Page = Callable[[bool], str]
"""writes families, in OpenMetrics or else in the text format"""


@dataclass(frozen=True)
class Pipeline:
    """The running parts of a pipeline, and what they offer to a web server or a terminal."""

    started: float
    """Unix time before anything was counted"""
    lib: Libbpf
    datapath: Datapath
    interfaces: Interfaces
    facts: InterfaceFacts
    drops: Drops | None
    retransmits: Retransmits | None
    cgroups: Ledger | None
    unit_drops: UnitDrops | None
    pods: PodWatch | None
    flows: FlowTable | None
    networks: NetworkSums | None
    attribution: Attribution | None
    accounts: Accounts | None
    live: Live
    legacy_metrics: bool
    flush: Callable[[], Awaitable[None]]
    """waits until the events that arrived so far are merged, at most FLUSH seconds"""
    missing: Callable[[], str]
    """returns why the pipeline does not count; "" while it is attached and reading"""

    @property
    def _since(self) -> float | None:
        """Unix time when all counters were 0.

        None if they go on from an earlier process: nobody here saw them begin.
        """
        return None if self.interfaces.inherited else self.started

    def pages(self) -> list[Page]:
        """Return pages of records and totals in writing order: records first, never ahead."""
        interfaces, since = self.interfaces, self._since
        pages: list[Page] = []
        if self.flows:
            pods = self.pods.pods if self.pods else None
            pages.append(FlowPage(interfaces, self.flows, pods, since))
        if self.networks:
            pages.append(NetworkPage(interfaces, self.networks, interfaces.classes, since))
        return [*pages, TrafficPage(interfaces, since, self.legacy_metrics)]

    def independent_pages(self) -> list[Page]:
        """Return the other pages; their counters are read without records."""
        active, since = self.interfaces.active, self._since
        pages: list[Page] = []
        if self.drops:
            pages.append(DropPage(self.drops, active, since))
        if self.retransmits:
            pages.append(RetransmitPage(self.retransmits, active, since))
        named = self.pods.pods if self.pods else None
        if self.cgroups:
            pages.append(UnitPage(self.cgroups, named, since))
        if self.unit_drops:
            pages.append(UnitDropPage(self.unit_drops, named, self.started))
        return pages

    def collectors(self) -> list[Collector]:
        """Return the collectors for a registry, but for that of the figures."""
        return [InterfaceCollector(self.interfaces.links, self.facts, Unseen(self.interfaces))]

    def groups(self) -> list[Group]:
        """Return the groups of figures about the exporter itself."""
        groups = [
            Group(figures.INTERFACES, self.interfaces),
            Group(figures.FACTS, self.facts),
            Group(figures.DATAPATH, self.datapath),
            Group(figures.FLOWS, self.flows or NO_FLOWS),
            Group(figures.PROGRAMS, RunTimes(self.datapath)),
            Group(figures.LIVE, self.live),
        ]
        if self.attribution:
            rings = {str(n): reader for n, reader in enumerate(self.attribution.readers)}
            groups.append(Group(figures.RING, rings, "ring"))
            if self.attribution.drainer:
                groups.append(Group(figures.FLOW_CACHE, self.attribution.drainer))
        groups += [Group(figures.ACCOUNTS, self.accounts)] if self.accounts else []
        groups += [Group(figures.CGROUPS, self.cgroups)] if self.cgroups else []
        groups += [Group(figures.PODS, self.pods)] if self.pods else []
        return groups


def prepare(settings: Settings) -> None:
    """Check privileges and memory, and raise the limit of open files.

    Raises PktexpError without the privileges, or if the settings need more memory than there is.
    """
    privileges.require()
    require_memory(settings)
    # Every interface takes a file descriptor, more than the usual soft limit of 1,024.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@asynccontextmanager
async def running(
    settings: Settings, networks: NamedNetworks | None = None
) -> AsyncIterator[Pipeline]:
    """Run the pipeline while the context is open. Raises PktexpError or BpfError at start."""
    started = time.time()
    async with AsyncExitStack() as stack:
        lib = libbpf.find()
        pins = open_pins(lib, settings.pin) if settings.pin else None
        if pins:
            stack.callback(pins.close)
        datapath = _load(stack, lib, settings, pins)
        interfaces = _attach(stack, lib, datapath, settings)
        cgroups = _count_cgroups(stack, lib, settings, pins)
        drops, retransmits, unit_drops = _trace(stack, lib, datapath, interfaces, cgroups)
        if datapath.hooks.tcx:
            datapath.outlast_capabilities()
        _log_memory(datapath, interfaces, cgroups)
        # A thread keeps the capabilities it was started with: all threads are started below.
        privileges.give_up(datapath.hooks.tcx, settings.kubernetes)
        pods = await stack.enter_async_context(naming(settings))
        flows = FlowTable(settings.max_flows) if settings.flows is not FlowMode.OFF else None
        sums = NetworkSums(networks, interfaces.classes) if networks else None
        sinks = [sink for sink in (flows, sums) if sink]
        attributed = attributing(datapath, sinks) if sinks else nullcontext()
        attribution = await stack.enter_async_context(attributed)
        await stack.enter_async_context(background(interfaces.follow()))
        if cgroups:
            await stack.enter_async_context(background(cgroups.follow()))
        accounts = await _account(stack, interfaces, flows, attribution)
        facts = InterfaceFacts(PodLinks(pods.pods) if pods else None)
        table = pods.pods if pods else None
        parts = Parts(interfaces, attribution, flows, facts, drops, table, cgroups)
        flush, missing = partial(_flush, attribution), partial(_missing, interfaces, attribution)
        status = Status(lib.version, missing, settings, datapath)
        live = await stack.enter_async_context(watch(parts, status, flush))
        if pins:
            pins.complete = True
        yield Pipeline(
            started=started,
            lib=lib,
            datapath=datapath,
            interfaces=interfaces,
            facts=facts,
            drops=drops,
            retransmits=retransmits,
            cgroups=cgroups,
            unit_drops=unit_drops,
            pods=pods,
            flows=flows,
            networks=sums,
            attribution=attribution,
            accounts=accounts,
            live=live,
            legacy_metrics=settings.legacy_metrics,
            flush=flush,
            missing=missing,
        )


def require_memory(settings: Settings) -> str:
    """Return how much memory the settings need, in words. Raises PktexpError if it cannot fit."""
    max_flows = 0 if settings.flows is FlowMode.OFF else settings.max_flows
    options = datapath_options(settings, highest_online_cpu() + 1)
    return memory.require(options, max_flows, settings.max_cgroups if settings.cgroups else 0)


def datapath_options(settings: Settings, cpus: int) -> DatapathOptions:
    """Translate settings into the sizes and constants that the object is loaded with."""
    flow_cache = cached_flows(settings.flow_cache, cpus)
    return DatapathOptions(
        slots=settings.max_interfaces,
        rings=settings.workers,
        ring_size=settings.ring_size,
        decap=settings.decap,
        flow_cache=flow_cache if settings.events is EventMode.FLOW else 0,
        **flow_options(settings.flows, networks=settings.networks is not None),
    )


def _load(stack: AsyncExitStack, lib: Libbpf, settings: Settings, pins: Pins | None) -> Datapath:
    datapath = Datapath(lib, datapath_options(settings, highest_online_cpu() + 1), pins=pins)
    stack.callback(datapath.close)
    log.info("pktexp %s with libbpf %s (%s)", __version__, lib.version, lib.path)
    return datapath


def _attach(
    stack: AsyncExitStack, lib: Libbpf, datapath: Datapath, settings: Settings
) -> Interfaces:
    monitor = LinkMonitor()
    stack.callback(monitor.close)
    wanted = NameFilter(settings.interfaces, settings.exclude_interfaces)
    directions = tuple(Direction) if settings.egress else (Direction.INGRESS,)
    rules = IngressRules(settings.ingress)
    interfaces = Interfaces(datapath, monitor, wanted, rules, directions)
    interfaces.start()
    stack.callback(interfaces.stop)
    if datapath.hooks.tcx:
        others.report(lib, monitor.links.values(), datapath.program_ids, settings.pin)
    return interfaces


def _trace(
    stack: AsyncExitStack,
    lib: Libbpf,
    datapath: Datapath,
    interfaces: Interfaces,
    cgroups: Ledger | None,
) -> tuple[Drops | None, Retransmits | None, UnitDrops | None]:
    """Count drops and retransmissions where this kernel has the tracepoints."""
    with kernel_btf(lib):  # read once for all below
        dropped, sent_again = (tracing.start(lib, datapath, at) for at in (DROPS, RETRANSMITS))
        names = reason_names(lib) if dropped else {}
        unit_drops = units.start_drops(lib, cgroups, names) if dropped and cgroups else None
    for traced in (dropped, sent_again, unit_drops):
        if traced:
            stack.callback(traced.close)
    return (
        Drops(interfaces, dropped, names) if dropped else None,
        Retransmits(interfaces, sent_again) if sent_again else None,
        unit_drops,
    )


def _count_cgroups(
    stack: AsyncExitStack, lib: Libbpf, settings: Settings, pins: Pins | None
) -> Ledger | None:
    if not settings.cgroups:
        if pins:
            drop_pins(pins)
        return None
    cgroups = units.start(lib, settings.max_cgroups, pins)
    if cgroups:
        stack.callback(cgroups.close)
    return cgroups


def _log_memory(datapath: Datapath, interfaces: Interfaces, cgroups: Ledger | None) -> None:
    log.info(
        "kernel memory: counters %d KiB (%d interfaces), rings %d KiB, flow cache %d KiB (%s), "
        "cgroups %d KiB",
        datapath.counter_bytes >> 10,
        interfaces.counted[0],
        datapath.ring_bytes >> 10,
        datapath.flow_cache_bytes >> 10,
        f"{datapath.flow_cache_entries} flows a CPU" if datapath.flow_cache else "off",
        cgroups.nbytes >> 10 if cgroups else 0,
    )


async def _account(
    stack: AsyncExitStack,
    interfaces: Interfaces,
    flows: FlowTable | None,
    attribution: Attribution | None,
) -> Accounts | None:
    """Compare totals with flows in the background; None with --flows off."""
    if flows is None or attribution is None:
        return None
    accounts = Accounts(interfaces, flows, attribution.settle, interfaces.inherited)
    await stack.enter_async_context(background(accounts.run()))
    return accounts


async def _flush(attribution: Attribution | None) -> None:
    if attribution:
        await attribution.flush(FLUSH)


def _missing(interfaces: Interfaces, attribution: Attribution | None) -> str:
    if attribution and not attribution.alive:
        return "a ring buffer is not being read"
    return "" if interfaces.attached else "no interface could be attached to"
