"""Load, attach, read and sample: what `pktexp serve` and `pktexp top` have in common.

service.py serves what comes of it, top/local.py shows it; the parts are assembly.py's.
"""

from __future__ import annotations

import logging
import resource
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from prometheus_client.registry import Collector

from pktexp import __version__, assembly, privileges
from pktexp.bpf import libbpf
from pktexp.bpf.datapath import Datapath
from pktexp.flows.accounting import Accounts
from pktexp.flows.attribution import Attribution
from pktexp.flows.networks import NamedNetworks
from pktexp.flows.networksums import NetworkSums
from pktexp.flows.table import FlowTable
from pktexp.interfaces.tracker import Interfaces
from pktexp.kubernetes.naming import naming
from pktexp.kubernetes.podlinks import PodsBehind
from pktexp.live.documents import Live
from pktexp.live.sample import Parts
from pktexp.live.status import Status
from pktexp.metrics.accountmetrics import AccountCollector
from pktexp.metrics.drops import DropCollector
from pktexp.metrics.exporter import SelfCollector
from pktexp.metrics.interfaces import InterfaceCollector
from pktexp.metrics.livemetrics import LiveCollector
from pktexp.metrics.podmetrics import PodCollector
from pktexp.netlink.links import LinkMonitor
from pktexp.settings import FlowMode, Settings
from pktexp.tasks import background

log = logging.getLogger(__name__)

FLUSH = 0.1  # seconds that a scrape waits for events to be merged


@dataclass(frozen=True)
class Counting:
    """What counts and tells, attached and being read; pages and collectors are what it shows."""

    interfaces: Interfaces
    attribution: Attribution | None
    live: Live
    pages: Sequence[Callable[[bool], str]]
    collectors: Sequence[Collector]

    async def flush(self) -> None:
        """Wait, for a bounded time, until events that came so far are merged."""
        await _flush(self.attribution)

    def missing(self) -> str:
        """What is; empty when attached and reading."""
        return _missing(self.interfaces, self.attribution)


def prepare() -> None:
    """Before anything else; PktexpError if this process may not do it."""
    privileges.require()
    # Every interface takes a file descriptor, more than the usual soft limit of 1,024.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@asynccontextmanager
async def counting(
    settings: Settings, networks: NamedNetworks | None = None
) -> AsyncIterator[Counting]:
    """Beside the body; PktexpError or BpfError if it cannot start."""
    async with AsyncExitStack() as stack:
        lib = libbpf.find()
        pins = assembly.pins(stack, lib, settings)
        datapath = Datapath(lib, assembly.datapath_options(settings), pins=pins)
        stack.callback(datapath.close)
        log.info("pktexp %s with libbpf %s (%s)", __version__, lib.version, lib.path)
        assembly.log_memory(datapath)
        monitor = LinkMonitor()
        stack.callback(monitor.close)
        interfaces = assembly.attach(datapath, monitor, settings)
        tracings = list(assembly.trace(stack, lib, datapath, interfaces))
        # A thread keeps the capabilities it was started with: all are started below.
        privileges.give_up(datapath.hooks.tcx, settings.kubernetes)
        watch = await stack.enter_async_context(naming(settings))
        pods = watch.pods if watch else None
        flows = FlowTable(settings.max_flows) if settings.flows is not FlowMode.OFF else None
        sums = NetworkSums(networks, interfaces.classes) if networks else None
        reading = assembly.attribute(datapath, [flows, sums])
        attribution = await stack.enter_async_context(reading)
        await stack.enter_async_context(background(interfaces.follow()))
        accounts = await stack.enter_async_context(_checked(interfaces, flows, attribution))
        information = InterfaceCollector(interfaces, PodsBehind(pods) if pods else None)
        drops = next((tracer for tracer in tracings if isinstance(tracer, DropCollector)), None)
        parts = Parts(interfaces, attribution, flows, information, drops, pods)
        status = Status(lib.version, lambda: _missing(interfaces, attribution), settings, datapath)
        watching = assembly.watch(parts, status, lambda: _flush(attribution))
        live = await stack.enter_async_context(watching)
        collectors = (
            information,
            *tracings,
            SelfCollector(__version__, lib.version, datapath, interfaces, attribution, flows),
            LiveCollector(live),
            *accounts,
            *([PodCollector(watch)] if watch else []),
        )
        pages = assembly.pages(interfaces, flows, sums, pods)
        if pins:
            pins.whole = True
        yield Counting(interfaces, attribution, live, pages, collectors)


@asynccontextmanager
async def _checked(
    interfaces: Interfaces, flows: FlowTable | None, attribution: Attribution | None
) -> AsyncIterator[list[Collector]]:
    """Whether the sums agree, beside the body; nothing with flows off."""
    if flows is None or attribution is None:
        yield []
        return
    accounts = Accounts(interfaces, flows, attribution.settle, interfaces.inherited)
    async with background(accounts.run()):
        yield [AccountCollector(accounts)]


async def _flush(attribution: Attribution | None) -> None:
    if attribution:
        await attribution.flush(FLUSH)


def _missing(interfaces: Interfaces, attribution: Attribution | None) -> str:
    if attribution and not attribution.alive:
        return "a ring buffer is not being read"
    return "" if interfaces.attached else "no interface could be attached to"
